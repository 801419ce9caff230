/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dynamic loader's cache.
 *
 * Problem: where would the loader find libcuda.so.1 if our own folder were not on LD_LIBRARY_PATH?
 * dlopen cannot be asked, it would answer with ourselves.
 *
 * Idea: read the file that ldconfig writes. Layout of the format glibc has used since 2.2, in
 * machine byte order: 20 bytes "glibc-ld.so.cache1.1"; u32 number of entries; u32 bytes of strings;
 * u8 flags and 3 bytes of padding; u32 offset of extensions; 12 unused bytes (48 in all); then
 * entries of 24 bytes {i32 flags, u32 key, u32 value, u32 osversion, u64 hwcap}. key and value are
 * offsets, from the start of this format, of NUL-terminated strings: soname and path. Older systems
 * put it behind a first table, "ld.so-1.7.0" padded to 12 bytes, u32 number of entries, 12 bytes
 * each; it then starts at the next multiple of 8. Flags are not judged: a 32-bit library of the
 * same name is told by its ELF header later. Every offset is checked, because a cut file must not
 * crash somebody's program.
 *
 * What it does badly: a cache in the old format alone (before 2.2) is refused, and entries for
 * hwcaps sub-folders are offered in file order without asking what this CPU can do (no driver uses
 * them).
 *
 * Tested by tests/unit/ldcache_corrupt.c with truncations and random damage.
 */
#include "base/find/ldcache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD_MAGIC        "ld.so-1.7.0"
#define OLD_HEADER_BYTES 16
#define OLD_ENTRY_BYTES  12
#define NEW_MAGIC        "glibc-ld.so.cache1.1"
#define NEW_MAGIC_BYTES  (sizeof(NEW_MAGIC) - 1)
#define NEW_HEADER_BYTES 48
#define NEW_ENTRY_BYTES  24
#define MAX_CACHE_BYTES  (64 << 20)

struct cache {
	const char *bytes; /* from the start of the new format */
	size_t size;
	uint32_t nr_entries;
};

static uint32_t u32_at(const char *bytes, size_t offset)
{
	uint32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* Where the new format starts, or `size` when the old table says it is past the end. */
static size_t skip_old_format(const char *bytes, size_t size)
{
	uint64_t end;

	if (size < OLD_HEADER_BYTES || memcmp(bytes, OLD_MAGIC, sizeof(OLD_MAGIC) - 1) != 0)
		return 0;
	end = OLD_HEADER_BYTES + (uint64_t)u32_at(bytes, 12) * OLD_ENTRY_BYTES;
	end = (end + 7) & ~(uint64_t)7;
	return end < size ? (size_t)end : size;
}

static int open_cache(const void *bytes, size_t size, struct cache *ret_cache)
{
	size_t start = skip_old_format(bytes, size);
	struct cache cache = {.bytes = (const char *)bytes + start, .size = size - start};

	if (cache.size < NEW_HEADER_BYTES || memcmp(cache.bytes, NEW_MAGIC, NEW_MAGIC_BYTES) != 0)
		return -EPROTO;
	cache.nr_entries = u32_at(cache.bytes, 20);
	if (cache.nr_entries > (cache.size - NEW_HEADER_BYTES) / NEW_ENTRY_BYTES)
		return -EPROTO;
	*ret_cache = cache;
	return 0;
}

/* NULL unless the offset names a string that ends inside the cache. */
static const char *string_at(const struct cache *cache, uint32_t offset)
{
	if (offset >= cache->size)
		return NULL;
	if (memchr(cache->bytes + offset, '\0', cache->size - offset) == NULL)
		return NULL;
	return cache->bytes + offset;
}

int ldcache_search(const void *bytes, size_t size, const char *soname, ldcache_fn fn, void *cookie)
{
	struct cache cache;
	int r = open_cache(bytes, size, &cache);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < cache.nr_entries; i++) {
		size_t entry = NEW_HEADER_BYTES + (size_t)i * NEW_ENTRY_BYTES;
		const char *key = string_at(&cache, u32_at(cache.bytes, entry + 4));
		const char *path = string_at(&cache, u32_at(cache.bytes, entry + 8));

		if (key == NULL || path == NULL || strcmp(key, soname) != 0)
			continue;
		r = fn(cookie, path);
		if (r != 0)
			return r;
	}
	return 0;
}

/* A copy in memory: ldconfig replaces the file by rename, but nobody promises that. */
static int read_file(int fd, char **ret_bytes, size_t *ret_size)
{
	struct stat st;
	size_t done = 0;
	size_t size;
	char *bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPROTO;
	if (st.st_size > MAX_CACHE_BYTES)
		return -EFBIG;
	size = (size_t)st.st_size;
	bytes = malloc(size + 1);
	if (bytes == NULL)
		return -ENOMEM;
	while (done < size) {
		ssize_t n = read(fd, bytes + done, size - done);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	*ret_bytes = bytes;
	*ret_size = done;
	return 0;
}

int ldcache_search_file(const char *path, const char *soname, ldcache_fn fn, void *cookie)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *bytes = NULL;
	size_t size = 0;
	int r;

	if (fd < 0)
		return -errno;
	r = read_file(fd, &bytes, &size);
	(void)close(fd);
	if (r < 0)
		return r;
	r = ldcache_search(bytes, size, soname, fn, cookie);
	free(bytes);
	return r;
}
