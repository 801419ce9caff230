/* SPDX-License-Identifier: Apache-2.0 */
/* Machine code of the simulated kernels: what a read at a code address gives. */
#ifndef LITHOS_SIM_TEXT_H
#define LITHOS_SIM_TEXT_H

#include <stdint.h>

/*
 * The address of another kernel's code; no other ever gets it. `waits`: its blocks wait for one
 * another, and its code says so.
 */
uint64_t text_new_locked(int waits);

#endif
