/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topology files: round trip, every way to be stale, every byte damaged, and unwritable folders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/topo_cache.h"

#include "topology_data.h"

static struct topology good;
static struct topo_cache_key key;
static char folder[64];
static char path[256];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/lithos-cache-XXXXXX");
	if (!mkdtemp(folder) || topology_h200(&good) < 0)
		return -1;
	memcpy(key.uuid, good.uuid, sizeof(key.uuid));
	key.driver_version = good.driver_version;
	key.nr_sms = good.nr_sms;
	(void)snprintf(path, sizeof(path), "%s/topology-00112233445566778899aabbccddeeff.bin",
		       folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static int load_error(const struct topo_cache_key *with)
{
	struct topology topo;

	memset(&topo, 0x5a, sizeof(topo));
	struct topology before = topo;
	int r = topo_cache_load(folder, with, &topo);
	assert_memory_equal(&topo, &before, sizeof(topo));
	return r;
}

static void test_round_trip(void **state)
{
	struct topology topo;

	(void)state;
	assert_int_equal(load_error(&key), -ENOENT);
	assert_int_equal(topo_cache_store(folder, &good), 0);
	assert_int_equal(access(path, R_OK), 0);
	assert_int_equal(topo_cache_load(folder, &key, &topo), 0);
	assert_memory_equal(&topo, &good, sizeof(topo));
	/* Storing again replaces. */
	struct topology other = good;
	other.driver_version = 13010;
	assert_int_equal(topo_cache_store(folder, &other), 0);
	assert_int_equal(load_error(&key), -ESTALE);
	assert_int_equal(topo_cache_store(folder, &good), 0);
	assert_int_equal(topo_cache_load(folder, &key, &topo), 0);
}

static void test_stale(void **state)
{
	struct topo_cache_key other = key;
	char foreign[256];

	(void)state;
	other.driver_version++;
	assert_int_equal(load_error(&other), -ESTALE);
	other = key;
	other.nr_sms--;
	assert_int_equal(load_error(&other), -ESTALE);
	/* A file of another GPU under this GPU's name. */
	other = key;
	other.uuid[15] ^= 1;
	(void)snprintf(foreign, sizeof(foreign), "%s/topology-00112233445566778899aabbccddeefe.bin",
		       folder);
	assert_int_equal(link(path, foreign), 0);
	assert_int_equal(load_error(&other), -ESTALE);
	assert_int_equal(unlink(foreign), 0);
}

static size_t read_all(char *bytes, size_t size)
{
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	size_t n = fread(bytes, 1, size, file);
	fclose(file);
	return n;
}

static void write_all(const char *bytes, size_t n)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void test_damage(void **state)
{
	char bytes[2048] = {0};
	size_t n = read_all(bytes, sizeof(bytes));

	(void)state;
	assert_true(n > sizeof(struct topology) && n < sizeof(bytes));
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 0x10;
		write_all(bytes, n);
		/* Bytes 4..7 are the format: another one is stale, not damaged. */
		assert_int_equal(load_error(&key), i >= 4 && i < 8 ? -ESTALE : -EBADMSG);
		bytes[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < n; cut += 13) {
		write_all(bytes, cut);
		assert_int_equal(load_error(&key), -EBADMSG);
	}
	write_all(bytes, n + 1);
	assert_int_equal(load_error(&key), -EBADMSG);
	write_all(bytes, n);
	assert_int_equal(topo_cache_load(folder, &key, &good), 0);
}

static void test_not_a_plain_file(void **state)
{
	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(load_error(&key), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load_error(&key), -EPERM);
	assert_int_equal(unlink(path), 0);
}

static void test_other_owner(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(topo_cache_store(folder, &good), 0);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(load_error(&key), -EPERM);
	assert_int_equal(unlink(path), 0);
}

static void test_store_errors(void **state)
{
	struct topology bad = good;
	static char longest[8192];
	DIR *dir;
	int nr_entries = 0;

	(void)state;
	bad.nr_tpcs++;
	assert_int_equal(topo_cache_store(folder, &bad), -EINVAL);
	assert_int_equal(topo_cache_store("/nonexistent", &good), -ENOENT);
	memset(longest, 'a', sizeof(longest) - 1);
	assert_int_equal(topo_cache_store(longest, &good), -ENAMETOOLONG);
	assert_int_equal(topo_cache_load(longest, &key, &bad), -ENAMETOOLONG);
	/* A folder in the way: the rename fails and nothing is left behind. */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(topo_cache_store(folder, &good), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	dir = opendir(folder);
	assert_non_null(dir);
	while (readdir(dir))
		nr_entries++;
	closedir(dir);
	assert_int_equal(nr_entries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_stale),
		cmocka_unit_test(test_damage),      cmocka_unit_test(test_not_a_plain_file),
		cmocka_unit_test(test_other_owner), cmocka_unit_test(test_store_errors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
