/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a shared library carry a note of a given owner?
 *
 * Problem: a libcuda.so.1 of lithos must be told from NVIDIA's without loading it: loading would
 * run its constructors, and the loader would answer with ourselves.
 *
 * Idea: the gABI's notes. Program headers of type PT_NOTE name byte ranges that hold entries of
 * {namesz, descsz, type, name padded, desc padded}; padding is to 8 bytes when the segment says so
 * and to 4 otherwise. The file is read with pread into small buffers and every offset and size is
 * checked against what was read: the file may be cut, corrupt or changing, and a mapping of it
 * could fault.
 *
 * What it does badly: section headers are not looked at, so a note outside any segment is not
 * found; segments longer than NOTE_BYTES are only searched that far (real ones are a few hundred
 * bytes).
 *
 * Tested by tests/unit/elf_note_corrupt.c, also with every truncation of a real file.
 */
#include "base/find/elf_note.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/find/driver_find.h"

#define NOTE_BYTES   8192
#define MAX_SEGMENTS 256

/* Reads up to `bytes`; the number read, which is less only at the end of the file, or -errno. */
static ssize_t read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	ssize_t n;

	if (offset > INT64_MAX - bytes)
		return 0;
	do {
		n = pread(fd, buffer, bytes, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int read_header(int fd, Elf64_Ehdr *ret_header)
{
	ssize_t n = read_at(fd, ret_header, sizeof(*ret_header), 0);

	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(*ret_header) || memcmp(ret_header->e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (ret_header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    ret_header->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	return 0;
}

static int open_header(const char *path, Elf64_Ehdr *ret_header)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = read_header(fd, ret_header);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int elf_machine(const char *path)
{
	Elf64_Ehdr header = {0};
	int fd = open_header(path, &header);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return header.e_machine;
}

static size_t padded(size_t bytes, size_t align)
{
	return (bytes + align - 1) & ~(align - 1);
}

static int notes_have(const unsigned char *notes, size_t bytes, size_t align, const char *owner)
{
	size_t owner_bytes = strlen(owner) + 1;
	size_t at = 0;

	while (bytes - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t body;
		size_t step;

		memcpy(&note, notes + at, sizeof(note));
		body = at + sizeof(note);
		if (note.n_namesz == owner_bytes && bytes - body >= owner_bytes &&
		    memcmp(notes + body, owner, owner_bytes) == 0)
			return 1;
		/* Two 32-bit sizes cannot overflow a 64-bit sum. */
		step = padded(sizeof(note) + note.n_namesz, align) + padded(note.n_descsz, align);
		if (step > bytes - at)
			return 0;
		at += step;
	}
	return 0;
}

static int segment_has(int fd, const Elf64_Phdr *segment, const char *owner)
{
	unsigned char notes[NOTE_BYTES];
	size_t bytes = segment->p_filesz < sizeof(notes) ? segment->p_filesz : sizeof(notes);
	ssize_t n = read_at(fd, notes, bytes, segment->p_offset);

	if (n < 0)
		return (int)n;
	return notes_have(notes, (size_t)n, segment->p_align == 8 ? 8 : 4, owner);
}

static int file_has(int fd, const Elf64_Ehdr *header, const char *owner)
{
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > MAX_SEGMENTS)
		return -ENOEXEC;
	for (uint64_t i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment = {0};
		ssize_t n;
		int r;

		if (header->e_phoff > INT64_MAX / 2)
			return -ENOEXEC;
		n = read_at(fd, &segment, sizeof(segment), header->e_phoff + i * sizeof(segment));
		if (n < 0)
			return (int)n;
		if ((size_t)n < sizeof(segment))
			return -ENOEXEC;
		if (segment.p_type != PT_NOTE)
			continue;
		r = segment_has(fd, &segment, owner);
		if (r != 0)
			return r;
	}
	return 0;
}

int elf_has_note(const char *path, const char *owner)
{
	Elf64_Ehdr header = {0};
	int fd = open_header(path, &header);
	int r;

	if (fd < 0)
		return fd;
	r = file_has(fd, &header, owner);
	(void)close(fd);
	return r;
}
