/* SPDX-License-Identifier: Apache-2.0 */
/* Where lithos keeps what it measured about a machine's GPUs. */
#ifndef LITHOS_BASE_CACHE_DIR_H
#define LITHOS_BASE_CACHE_DIR_H

#include <stddef.h>

/*
 * The first folder that exists, or can be made, and can be written: `configured` alone when it is
 * not empty; else /var/cache/lithos, $XDG_CACHE_HOME/lithos, $HOME/.cache/lithos. 0, -ENOENT when
 * there is none, -ENAMETOOLONG. Any thread that may read the environment.
 */
int cache_dir_choose(const char *configured, char *ret_path, size_t size);

#endif
