// GNU's names for this module, but the C library's plain `fd_set`: Swift's own modules of the C library are made
// without _GNU_SOURCE, and two definitions of one structure do not go into one program. First of the module's headers.
#ifndef APUS_GNU_H
#define APUS_GNU_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
#pragma push_macro("__USE_XOPEN")
#undef __USE_XOPEN
#include <sys/select.h>
#pragma pop_macro("__USE_XOPEN")

#endif
