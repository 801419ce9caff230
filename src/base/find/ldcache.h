/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the dynamic loader's cache (/etc/ld.so.cache) where a library is, without the loader. */
#ifndef LITHOS_BASE_LDCACHE_H
#define LITHOS_BASE_LDCACHE_H

#include <stddef.h>

/* Called for each path of a soname, best first as the loader ranks them; non-zero ends the search.
 */
typedef int (*ldcache_fn)(void *cookie, const char *path);

/*
 * Goes through the entries of `soname` in a cache held in memory. What fn answered, 0 when no call
 * answered, -EPROTO when the bytes are no cache of glibc's "1.1" format. Safe for any bytes.
 */
int ldcache_search(const void *bytes, size_t size, const char *soname, ldcache_fn fn, void *cookie);

/* The same for a file; -errno when it cannot be read, -EFBIG when it is absurdly large. */
int ldcache_search_file(const char *path, const char *soname, ldcache_fn fn, void *cookie);

#endif
