/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel names for people. Pure. */
#ifndef LITHOS_CLI_RUN_KERNEL_NAME_H
#define LITHOS_CLI_RUN_KERNEL_NAME_H

#include <stddef.h>

/*
 * Writes the name with its scopes spelled out: _ZN2at6native6fill_kIfEEvT_ becomes
 * at::native::fill_k<fEEvT_. Names that are not of this form are copied. At most `width` characters
 * plus a NUL are written, the last two being ".." when it had to be cut; width >= 4.
 */
void kernel_name_short(const char *name, char *ret_text, size_t width);

#endif
