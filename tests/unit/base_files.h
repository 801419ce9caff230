/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for the tests of base/: a scratch folder, and ELF and ld.so.cache images built byte by
 * byte, so that a test can damage them.
 */
#ifndef LITHOS_TESTS_BASE_FILES_H
#define LITHOS_TESTS_BASE_FILES_H

#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
/* cmocka.h needs the four headers above before it. */
#include <cmocka.h>

#if defined(__x86_64__)
#define TEST_MACHINE EM_X86_64
#else
#define TEST_MACHINE EM_AARCH64
#endif

struct image {
	unsigned char bytes[16384];
	size_t size;
};

static inline void image_put(struct image *image, const void *bytes, size_t size)
{
	assert_true(image->size + size <= sizeof(image->bytes));
	memcpy(image->bytes + image->size, bytes, size);
	image->size += size;
}

static inline void image_pad(struct image *image, size_t align)
{
	while (image->size % align != 0)
		image->bytes[image->size++] = 0;
}

static inline void image_note(struct image *image, const char *owner, size_t desc_bytes,
			      size_t align)
{
	Elf64_Nhdr note = {(Elf64_Word)strlen(owner) + 1, (Elf64_Word)desc_bytes, 1};

	image_put(image, &note, sizeof(note));
	image_put(image, owner, strlen(owner) + 1);
	image_pad(image, align);
	for (size_t i = 0; i < desc_bytes; i++)
		image_put(image, "d", 1);
	image_pad(image, align);
}

/* An ELF64 file with a PT_LOAD and, when owner is given, a PT_NOTE with a GNU note and one of
 * owner. */
static inline void image_elf(struct image *image, uint16_t machine, const char *owner, size_t align)
{
	Elf64_Ehdr header = {.e_type = ET_DYN,
			     .e_machine = machine,
			     .e_version = EV_CURRENT,
			     .e_phoff = sizeof(Elf64_Ehdr),
			     .e_ehsize = sizeof(Elf64_Ehdr),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = owner != NULL ? 2 : 1};
	Elf64_Phdr segments[2] = {{.p_type = PT_LOAD, .p_filesz = 64},
				  {.p_type = PT_NOTE, .p_align = align}};
	size_t start = sizeof(header) + header.e_phnum * sizeof(segments[0]);

	memset(image, 0, sizeof(*image));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	image->size = start;
	if (owner != NULL) {
		image_note(image, "GNU", 20, align);
		image_note(image, owner, 0, align);
		segments[1].p_offset = start;
		segments[1].p_filesz = image->size - start;
	}
	memcpy(image->bytes, &header, sizeof(header));
	memcpy(image->bytes + sizeof(header), segments, header.e_phnum * sizeof(segments[0]));
}

/* One line of a cache to be built. */
struct cache_line {
	const char *soname;
	const char *path;
};

/* The "1.1" format; with_old puts an empty-looking table of the older format before it. */
static inline void image_cache(struct image *image, const struct cache_line *lines, uint32_t nr,
			       int with_old)
{
	uint32_t strings = 48 + nr * 24;
	size_t base;

	memset(image, 0, sizeof(*image));
	if (with_old) {
		uint32_t nr_old = 3;

		image_put(image, "ld.so-1.7.0", 12);
		image_put(image, &nr_old, 4);
		image->size += (size_t)nr_old * 12;
		image_pad(image, 8);
	}
	base = image->size;
	image_put(image, "glibc-ld.so.cache1.1", 20);
	image_put(image, &nr, 4);
	image->size = base + 48;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t entry[6] = {0x0303, strings, 0, 0, 0, 0};

		entry[2] = strings + (uint32_t)strlen(lines[i].soname) + 1;
		strings = entry[2] + (uint32_t)strlen(lines[i].path) + 1;
		image_put(image, entry, sizeof(entry));
	}
	for (uint32_t i = 0; i < nr; i++) {
		image_put(image, lines[i].soname, strlen(lines[i].soname) + 1);
		image_put(image, lines[i].path, strlen(lines[i].path) + 1);
	}
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(close(fd), 0);
}

/* A scratch folder made by group setup and removed by group teardown; its path is *state. */
static inline int scratch_setup(void **state)
{
	char *folder = strdup("/tmp/lithos-unit-XXXXXX");

	*state = folder;
	return folder != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static inline int scratch_teardown(void **state)
{
	char command[256];
	int r;

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", (const char *)*state);
	r = system(command); /* NOLINT: a path this file made */
	free(*state);
	return r;
}

#endif
