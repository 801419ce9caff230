/* SPDX-License-Identifier: Apache-2.0 */
/* Spreading keys over tables. Pure. */
#ifndef LITHOS_BASE_HASH_H
#define LITHOS_BASE_HASH_H

#include <stdint.h>

/* Fibonacci hashing (Knuth, TAOCP 3, 6.4): multiply by 2^64 over the golden ratio; take high
 * bits. */
static inline uint64_t hash_u64(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15u;
}

/* 32 bits, good in all of them, for pointers and handles. */
static inline uint32_t hash_pointer(const void *p)
{
	return (uint32_t)(hash_u64((uint64_t)(uintptr_t)p) >> 32);
}

#endif
