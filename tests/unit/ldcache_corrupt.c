/* SPDX-License-Identifier: Apache-2.0 */
/* The loader cache: entries in order, both embeddings, and nothing worse than "no" for damaged
 * bytes. */
#include "base_files.h"

#include <errno.h>

#include "base/find/ldcache.h"

static const struct cache_line lines[] = {
	{"libz.so.1", "/lib/libz.so.1"},
	{"libcuda.so.1", "/a/libcuda.so.1"},
	{"libcuda.so.1", "/b/libcuda.so.1"},
	{"libcuda.so.11", "/c/libcuda.so.11"},
};

/* Collects paths; stops with 1 when `stop_at` paths were seen. */
struct seen {
	char text[1024];
	int nr;
	int stop_at;
};

static int see(void *cookie, const char *path)
{
	struct seen *seen = cookie;
	size_t used = strlen(seen->text);

	(void)snprintf(seen->text + used, sizeof(seen->text) - used, "%s ", path);
	return ++seen->nr == seen->stop_at;
}

/* Searches a heap copy of exactly this size, so that a sanitizer sees any read past it. */
static int search(const struct image *image, struct seen *seen)
{
	char *copy = malloc(image->size > 0 ? image->size : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, image->bytes, image->size);
	r = ldcache_search(copy, image->size, "libcuda.so.1", see, seen);
	free(copy);
	return r;
}

static void test_order_and_stop(void **state)
{
	static struct image image;
	struct seen all = {.nr = 0};
	struct seen one = {.stop_at = 1};

	(void)state;
	image_cache(&image, lines, 4, 0);
	assert_int_equal(search(&image, &all), 0);
	assert_string_equal(all.text, "/a/libcuda.so.1 /b/libcuda.so.1 ");
	assert_int_equal(search(&image, &one), 1);
	assert_string_equal(one.text, "/a/libcuda.so.1 ");
}

static void test_behind_the_old_format(void **state)
{
	static struct image image;
	struct seen seen = {.nr = 0};

	(void)state;
	image_cache(&image, lines, 4, 1);
	assert_int_equal(search(&image, &seen), 0);
	assert_string_equal(seen.text, "/a/libcuda.so.1 /b/libcuda.so.1 ");
	memset(image.bytes + 12, 0xff, 4);
	assert_int_equal(search(&image, &seen), -EPROTO);
}

static void test_every_truncation(void **state)
{
	static struct image image;

	(void)state;
	for (int with_old = 0; with_old < 2; with_old++) {
		size_t whole;

		image_cache(&image, lines, 4, with_old);
		whole = image.size;
		for (image.size = 0; image.size < whole; image.size++) {
			struct seen seen = {.nr = 0};
			int r = search(&image, &seen);

			assert_true(r == 0 || r == -EPROTO);
			assert_true(seen.nr <= 2);
		}
	}
}

static void test_random_damage(void **state)
{
	static struct image good;
	static struct image bad;
	unsigned int seed = 7;

	(void)state;
	image_cache(&good, lines, 4, 1);
	for (int round = 0; round < 20000; round++) {
		struct seen seen = {.nr = 0};
		int r;

		bad = good;
		for (int i = 0; i < 6; i++)
			bad.bytes[(size_t)rand_r(&seed) % bad.size] = (unsigned char)rand_r(&seed);
		r = search(&bad, &seen);
		assert_true(r == 0 || r == -EPROTO);
	}
}

static void test_files(void **state)
{
	static struct image image;
	struct seen seen = {.nr = 0};
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/cache", (const char *)*state);
	assert_int_equal(ldcache_search_file(path, "libcuda.so.1", see, &seen), -ENOENT);
	assert_int_equal(ldcache_search_file(*state, "libcuda.so.1", see, &seen), -EPROTO);
	image_cache(&image, lines, 4, 0);
	write_file(path, image.bytes, image.size);
	assert_int_equal(ldcache_search_file(path, "libz.so.1", see, &seen), 0);
	assert_string_equal(seen.text, "/lib/libz.so.1 ");
	write_file(path, "", 0);
	assert_int_equal(ldcache_search_file(path, "libz.so.1", see, &seen), -EPROTO);
	assert_int_equal(truncate(path, (off_t)100 << 20), 0);
	assert_int_equal(ldcache_search_file(path, "libz.so.1", see, &seen), -EFBIG);
}

/* What this machine's ldconfig wrote is the proof that the layout above is the real one. */
static void test_the_machines_own_cache(void **state)
{
	struct seen seen = {.nr = 0};
	int r = ldcache_search_file("/etc/ld.so.cache", "libc.so.6", see, &seen);

	(void)state;
	if (r == -ENOENT)
		skip();
	assert_int_equal(r, 0);
	assert_true(seen.nr >= 1);
	assert_non_null(strstr(seen.text, "/libc.so.6 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_stop),
		cmocka_unit_test(test_behind_the_old_format),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_the_machines_own_cache),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
