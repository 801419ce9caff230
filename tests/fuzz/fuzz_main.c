/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a target on files, without libFuzzer: the seeds, and what fuzzing has found, are part of
 * every suite, in every build.
 *
 *   fuzz_NAME FILE|FOLDER...
 *
 * Ends with 1 when there was no file at all.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAX_BYTES ((size_t)1 << 20)

static unsigned int nr_files;

static void run_file(const char *path)
{
	uint8_t *all = malloc(MAX_BYTES);
	FILE *file = fopen(path, "re");
	size_t size;
	uint8_t *bytes;

	if (!all || !file) {
		fuzz_fail(path);
		return;
	}
	size = fread(all, 1, MAX_BYTES, file);
	(void)fclose(file);
	/* A block of just that size: a sanitizer sees what is read behind it. */
	bytes = malloc(size ? size : 1);
	if (!bytes) {
		free(all);
		fuzz_fail(path);
		return;
	}
	memcpy(bytes, all, size);
	free(all);
	(void)LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	nr_files++;
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	int nr = scandir(path, &entries, NULL, alphasort);
	char name[4096];

	for (int i = 0; i < nr; i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_file(name);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			run_folder(argv[i]);
		else
			run_file(argv[i]);
	}
	(void)printf("%u inputs\n", nr_files);
	return nr_files ? 0 : 1;
}
