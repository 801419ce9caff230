/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say how many SMs somebody is told of. */
#ifndef LITHOS_SHIM_TOLD_READ_H
#define LITHOS_SHIM_TOLD_READ_H

#include "sched/quota.h"

/* 1 a number, 0 none, -EINVAL bad text: logged under the option's name, and none then. At load. */
int told_read(const char *option, const char *text, struct told *ret_told);

#endif
