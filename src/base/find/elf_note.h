/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the little of an ELF64 file that finding a driver needs. Pure apart from file reads. */
#ifndef LITHOS_BASE_ELF_NOTE_H
#define LITHOS_BASE_ELF_NOTE_H

/* e_machine of a little-endian ELF64 file (EM_X86_64, ...); -ENOEXEC when it is none, -errno. */
int elf_machine(const char *path);

/* elf_has_note is declared in base/find/driver_find.h. */

#endif
