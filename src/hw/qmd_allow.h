/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which descriptor versions may be edited: the verified ones, and those the user named.
 *
 * Set once at start, before any launch; read by every launching thread.
 */
#ifndef LITHOS_HW_QMD_ALLOW_H
#define LITHOS_HW_QMD_ALLOW_H

struct qmd_layout;

/*
 * Allows the versions of a comma-separated list ("V02_04,V03_00") although nobody verified them.
 * Returns 0, or -ENOENT at the first name that is no version; the names before it count.
 */
int qmd_allow_versions(const char *list);

int qmd_may_use(const struct qmd_layout *layout);

#endif
