/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. A target is one program with LLVMFuzzerTestOneInput(): libFuzzer
 * calls it with inputs of its own (run.sh), fuzz_main.c with the files in seeds/, everywhere.
 */
#ifndef LITHOS_TESTS_FUZZ_H
#define LITHOS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes taken from the front; what is not there reads as zero. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

static inline size_t fuzz_take(struct fuzz_input *input, void *ret_bytes, size_t size)
{
	size_t n = size < input->size ? size : input->size;

	memset(ret_bytes, 0, size);
	if (n)
		memcpy(ret_bytes, input->data, n);
	input->data += n;
	input->size -= n;
	return n;
}

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
	uint8_t byte;

	(void)fuzz_take(input, &byte, sizeof(byte));
	return byte;
}

static inline uint16_t fuzz_u16(struct fuzz_input *input)
{
	uint16_t word;

	(void)fuzz_take(input, &word, sizeof(word));
	return word;
}

static inline uint64_t fuzz_u64(struct fuzz_input *input)
{
	uint64_t word;

	(void)fuzz_take(input, &word, sizeof(word));
	return word;
}

/* Something that must never be so is: says it and aborts, which libFuzzer takes for a finding. */
_Noreturn void fuzz_fail(const char *what);

/* A folder of this process in memory; removed at exit. */
const char *fuzz_folder(void);

/* The file NAME in that folder with these bytes; returns its path, good until the next call. */
const char *fuzz_file(const char *name, const void *bytes, size_t size);

#endif
