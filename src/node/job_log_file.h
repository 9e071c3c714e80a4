/* Names of a log's files, for the two sides of it. */
#ifndef NODE_JOB_LOG_FILE_H
#define NODE_JOB_LOG_FILE_H

#define JOB_LOG_HEAD   "log.head"
#define JOB_LOG_TAIL   "log.%020lld"
#define JOB_LOG_DIGITS 20

#endif
