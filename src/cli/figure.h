/* Figures as people read them. Each adds to OUT. */
#ifndef CLI_FIGURE_H
#define CLI_FIGURE_H

#include "base/text.h"

/* "0.000412 USD", "1.27 USD": small amounts keep their digits. */
void figure_money(struct text *out, int64_t micros, const char *currency);
/* "812 J", "12.3 kJ", "1.25 kWh". */
void figure_energy(struct text *out, double joules);
/* "512 MiB", "9.8 GiB". */
void figure_mib(struct text *out, int64_t mib);
/* "4.2s", "3m10s". */
void figure_span(struct text *out, int64_t ms);
/* "[#####-----]" in COLUMNS, of which two are brackets; PERCENT below 0: nothing is known. With
 * UNICODE in eighths of a column: "[████▌     ]". */
void figure_bar(struct text *out, double percent, int columns, bool unicode);

#endif
