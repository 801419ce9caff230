/* SPDX-License-Identifier: Apache-2.0 */
/* The folder in which the processes of one run leave their statistics. */
#ifndef LITHOS_CLI_RUN_RUN_DIR_H
#define LITHOS_CLI_RUN_RUN_DIR_H

#include <stddef.h>

/*
 * Makes a folder of mode 0700 under $XDG_RUNTIME_DIR, $TMPDIR or /tmp, whichever works first, and
 * removes those that runs which were killed left there. ret_lock, close-on-exec, says that the
 * folder is in use for as long as it is open. -errno.
 */
int run_dir_make(char *ret_path, size_t size, int *ret_lock);

/* With the files in it; and closes the lock. */
void run_dir_remove(const char *path, int lock);

#endif
