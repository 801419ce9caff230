/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding NVIDIA's libcuda.so.1.
 *
 * Problem: our own library has the same name and stands first on LD_LIBRARY_PATH, possibly twice
 * (a build tree and an installed copy), so every ordinary way of asking answers with a lithos
 * library, and opening that one would call itself for ever.
 *
 * Idea: do what the loader would have done without us, reading files instead of loading them, and
 * pass over every candidate that is ours: the same file as the caller, or one that carries our ELF
 * note. A candidate must be an ELF64 file of this machine, which also sets 32-bit libraries aside.
 * Link stubs (.../stubs/libcuda.so.1, shipped with the toolkit) are passed over too: every call in
 * them fails.
 *
 * What it does badly: RPATH, LD_PRELOAD and hwcaps sub-folders are not followed; no driver package
 * uses them.
 *
 * Tested by tests/unit/driver_find_order.c.
 */
#include "base/find/driver_find.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/find/elf_note.h"
#include "base/find/ldcache.h"

#define DRIVER_SONAME "libcuda.so.1"
#define FOLDER_BYTES  4096

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#else
#error "lithos knows no NVIDIA driver for this machine"
#endif

static const char *const usual_folders[] = {
	"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64",
	"/usr/local/nvidia/lib64",   "/usr/local/nvidia/lib",      "/usr/lib/wsl/lib",
	"/run/opengl-driver/lib",    "/usr/local/cuda/compat", /* last: only for older drivers */
};

struct search {
	const struct driver_find *find;
	char *path; /* where the answer goes */
	size_t size;
};

static int is_same_file(const char *a, const char *b)
{
	struct stat a_stat;
	struct stat b_stat;

	if (a == NULL || b == NULL || stat(a, &a_stat) < 0 || stat(b, &b_stat) < 0)
		return 0;
	return a_stat.st_dev == b_stat.st_dev && a_stat.st_ino == b_stat.st_ino;
}

static int is_readable_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

static int is_stub(const char *path)
{
	return strstr(path, "/stubs/") != NULL;
}

static int is_driver(const struct driver_find *find, const char *path)
{
	return is_readable_file(path) && !is_stub(path) && !is_same_file(find->self, path) &&
	       elf_machine(path) == NATIVE_MACHINE && elf_has_note(path, LITHOS_NOTE_OWNER) == 0;
}

static int answer(const struct search *search, const char *path)
{
	int length = snprintf(search->path, search->size, "%s", path);

	return length >= 0 && (size_t)length < search->size ? 1 : -ENAMETOOLONG;
}

/* An ldcache_fn: 1 taken, 0 go on. */
static int try_path(void *cookie, const char *path)
{
	const struct search *search = cookie;

	return is_driver(search->find, path) ? answer(search, path) : 0;
}

static int try_folder(struct search *search, const char *folder, size_t length)
{
	char path[FOLDER_BYTES];
	int n;

	/* An empty element of LD_LIBRARY_PATH means the working directory, which nobody means. */
	if (length == 0)
		return 0;
	n = snprintf(path, sizeof(path), "%.*s/" DRIVER_SONAME, (int)length, folder);
	if (n < 0 || (size_t)n >= sizeof(path))
		return 0;
	return try_path(search, path);
}

/* The loader takes both ':' and ';' between folders. */
static int try_search_path(struct search *search, const char *folders)
{
	int r = 0;

	while (folders != NULL && *folders != '\0' && r == 0) {
		size_t length = strcspn(folders, ":;");

		if (length < FOLDER_BYTES)
			r = try_folder(search, folders, length);
		folders += length + (folders[length] != '\0');
	}
	return r;
}

static int try_cache(struct search *search, const char *cache_file)
{
	int r = ldcache_search_file(cache_file != NULL ? cache_file : "/etc/ld.so.cache",
				    DRIVER_SONAME, try_path, search);

	/* A cache that is missing or broken is no reason to stop looking. */
	return r == 1 || r == -ENAMETOOLONG ? r : 0;
}

static int try_usual(struct search *search)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(usual_folders) / sizeof(usual_folders[0]) && r == 0; i++)
		r = try_folder(search, usual_folders[i], strlen(usual_folders[i]));
	return r;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through search.path */
int driver_find(const struct driver_find *find, char *ret_path, size_t size)
{
	struct search search = {.find = find, .path = ret_path, .size = size};
	int r;

	if (find->configured != NULL && find->configured[0] != '\0') {
		if (!is_readable_file(find->configured))
			return -ENODEV;
		r = answer(&search, find->configured);
		return r == 1 ? 0 : r;
	}
	r = try_search_path(&search, find->search_path);
	if (r == 0)
		r = try_cache(&search, find->cache_file);
	if (r == 0)
		r = try_usual(&search);
	return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}
