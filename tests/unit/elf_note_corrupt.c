/* SPDX-License-Identifier: Apache-2.0 */
/* ELF notes: found where they are, and no crash and no false answer on cut or damaged files. */
#include "base_files.h"

#include <errno.h>

#include "base/find/driver_find.h"
#include "base/find/elf_note.h"

static const char *file_of(void **state)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/lib", (const char *)*state);
	return path;
}

static int note_of(void **state, const struct image *image)
{
	write_file(file_of(state), image->bytes, image->size);
	return elf_has_note(file_of(state), "lithos");
}

static void test_found_with_both_paddings(void **state)
{
	static struct image image;

	image_elf(&image, TEST_MACHINE, "lithos", 4);
	assert_int_equal(note_of(state, &image), 1);
	image_elf(&image, TEST_MACHINE, "lithos", 8);
	assert_int_equal(note_of(state, &image), 1);
	assert_int_equal(elf_machine(file_of(state)), TEST_MACHINE);
	image_elf(&image, TEST_MACHINE, "litho", 4);
	assert_int_equal(note_of(state, &image), 0);
	image_elf(&image, TEST_MACHINE, "lithosd", 4);
	assert_int_equal(note_of(state, &image), 0);
	image_elf(&image, TEST_MACHINE, NULL, 4);
	assert_int_equal(note_of(state, &image), 0);
}

static void test_real_files(void **state)
{
	(void)state;
	/* This test program has a GNU build id or ABI note, as everything a toolchain links. */
	assert_int_equal(elf_has_note("/proc/self/exe", "GNU"), 1);
	assert_int_equal(elf_has_note("/proc/self/exe", "lithos"), 0);
	assert_int_equal(elf_machine("/proc/self/exe"), TEST_MACHINE);
}

static void test_not_elf64(void **state)
{
	static struct image image;

	assert_int_equal(elf_has_note("/no/such/file", "lithos"), -ENOENT);
	assert_int_equal(elf_machine("/no/such/file"), -ENOENT);
	assert_int_equal(elf_has_note("/", "lithos"), -EISDIR);
	image_elf(&image, TEST_MACHINE, "lithos", 4);
	image.bytes[EI_CLASS] = ELFCLASS32;
	assert_int_equal(note_of(state, &image), -ENOEXEC);
	image.bytes[EI_CLASS] = ELFCLASS64;
	image.bytes[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(note_of(state, &image), -ENOEXEC);
	image.bytes[0] = 'x';
	assert_int_equal(note_of(state, &image), -ENOEXEC);
}

static void test_every_truncation(void **state)
{
	static struct image image;
	size_t whole;

	image_elf(&image, TEST_MACHINE, "lithos", 4);
	whole = image.size;
	for (image.size = 0; image.size < whole; image.size++) {
		int r = note_of(state, &image);

		/* The name ends one padding byte before the end of the file. */
		assert_true(r == 0 || r == -ENOEXEC || (r == 1 && image.size + 1 >= whole));
	}
}

static void test_impossible_headers(void **state)
{
	static struct image image;
	Elf64_Ehdr *header = (Elf64_Ehdr *)image.bytes;
	Elf64_Phdr *note = (Elf64_Phdr *)(image.bytes + sizeof(*header)) + 1;

	image_elf(&image, TEST_MACHINE, "lithos", 4);
	header->e_phoff = UINT64_MAX - 4;
	assert_int_equal(note_of(state, &image), -ENOEXEC);
	header->e_phoff = INT64_MAX / 2;
	assert_int_equal(note_of(state, &image), -ENOEXEC);
	image_elf(&image, TEST_MACHINE, "lithos", 4);
	header->e_phentsize = 1;
	assert_int_equal(note_of(state, &image), -ENOEXEC);
	image_elf(&image, TEST_MACHINE, "lithos", 4);
	header->e_phnum = 0xffff;
	assert_int_equal(note_of(state, &image), -ENOEXEC);
	image_elf(&image, TEST_MACHINE, "lithos", 4);
	note->p_offset = UINT64_MAX - 10;
	note->p_filesz = UINT64_MAX;
	assert_int_equal(note_of(state, &image), 0);
	image_elf(&image, TEST_MACHINE, "lithos", 4);
	/* The first note claims to be longer than the segment: what follows is not reached. */
	memset(image.bytes + note->p_offset + offsetof(Elf64_Nhdr, n_descsz), 0xff, 4);
	assert_int_equal(note_of(state, &image), 0);
	memset(image.bytes + note->p_offset + offsetof(Elf64_Nhdr, n_namesz), 0xff, 4);
	assert_int_equal(note_of(state, &image), 0);
}

static void test_random_damage(void **state)
{
	static struct image good;
	static struct image bad;
	unsigned int seed = 1;

	image_elf(&good, TEST_MACHINE, "lithos", 4);
	for (int round = 0; round < 4000; round++) {
		int r;

		bad = good;
		for (int i = 0; i < 4; i++)
			bad.bytes[(size_t)rand_r(&seed) % bad.size] = (unsigned char)rand_r(&seed);
		r = note_of(state, &bad);
		assert_true(r == 0 || r == 1 || r == -ENOEXEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_with_both_paddings),
		cmocka_unit_test(test_real_files),
		cmocka_unit_test(test_not_elf64),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_impossible_headers),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
