#include "cli/width.h"
#include "test.h"

TEST("Korean characters take two columns, accents that stand alone none")
{
    CHECK_INT(text_width("abc"), 3);
    CHECK_INT(text_width("학습 작업"), 9);
    CHECK_INT(text_width("e\xcc\x81"), 1);
    CHECK_INT(text_width("日本語"), 6);
    CHECK_INT(text_width("█▌"), 2);
    CHECK_INT(text_width(""), 0);
}

TEST("bytes that are not UTF-8 take a column each and do not run past the end")
{
    CHECK_INT(text_width("\xff\xfe"), 2);
    CHECK_INT(text_width("a\xea\xb0"), 3);
    CHECK_INT(text_width("\xc0\x80"), 2);
}

TEST("a text is padded or cut to the columns asked for, never through a wide character")
{
    auto_text struct text t = {0};
    text_add_padded(&t, "학습", 6, false);
    CHECK_TEXT(t.data, "학습  ");
    text_clear(&t);
    text_add_padded(&t, "12", 4, true);
    CHECK_TEXT(t.data, "  12");
    text_clear(&t);
    text_add_padded(&t, "학습작업", 6, false);
    CHECK_TEXT(t.data, "학습… ");
    CHECK_INT(text_width(t.data), 6);
    text_clear(&t);
    text_add_padded(&t, "abcdef", 4, false);
    CHECK_TEXT(t.data, "abc…");
}

TEST("a job's name cannot steer the terminal")
{
    auto_text struct text t = {0};
    text_add_printable(&t, "a\033[2Jb\nc\xff\xe2\x80\xae"
                           "d");
    CHECK_TEXT(t.data, "a?[2Jb c??d");
}
