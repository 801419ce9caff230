/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the real libcuda.so.1 without finding a lithos one.
 *
 * Order, which is the loader's own: the configured path; the folders of LD_LIBRARY_PATH (so a CUDA
 * forward-compatibility driver that the user put there stays in use); the loader cache
 * (/etc/ld.so.cache, parsed, not dlopen'ed, because LD_LIBRARY_PATH would answer with ourselves);
 * the usual folders. A candidate that is our own file (device and inode), or that carries the ELF
 * note LITHOS_NOTE_OWNER, is passed over, and so are link stubs and libraries of another machine.
 */
#ifndef LITHOS_BASE_DRIVER_FIND_H
#define LITHOS_BASE_DRIVER_FIND_H

#include <stddef.h>

/* Owner name of an ELF note in every lithos libcuda.so.1, shim and simulated, and in no driver. */
#define LITHOS_NOTE_OWNER "lithos"

struct driver_find {
	const char *configured;  /* may be NULL or empty; taken as it is, whatever it is, if it is a
				    file */
	const char *self;        /* path of the calling library, or NULL */
	const char *search_path; /* value of LD_LIBRARY_PATH, or NULL */
	const char *cache_file;  /* NULL: /etc/ld.so.cache */
};

/*
 * 0 and the path; -ENOENT nothing found; -ENODEV the configured path is not a readable file (no
 * other place is tried then: a configured path that is wrong should be noticed); -ENAMETOOLONG.
 */
int driver_find(const struct driver_find *find, char *ret_path, size_t size);

/* 1 when the ELF64 file has a note of this owner, 0 when not, -errno when it cannot be read as
 * ELF64. */
int elf_has_note(const char *path, const char *owner);

#endif
