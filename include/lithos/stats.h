/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one process of a tenant launched: a file the shim maps and `lithos run --stats` reads.
 *
 * One file a process, `<run directory>/stats.<pid>`, created by the shim, sparse, of constant size.
 * The shim's tracker thread is the only writer of kernel rows; launching threads add rows and bump
 * counters. The reader may map it at any time, also after the process was killed; it copies what it
 * reads and checks it (stats_region_valid), because the writer may have died in the middle of a
 * row.
 *
 * Fixed width, offsets not pointers, version in the header: change STATS_VERSION with any field.
 */
#ifndef LITHOS_STATS_H
#define LITHOS_STATS_H

#include <stddef.h>
#include <stdint.h>

#define STATS_MAGIC       0x5354534cu /* "LSTS" */
#define STATS_VERSION     2u
#define STATS_MAX_KERNELS 4096u
#define STATS_NAME_BYTES  256u

/*
 * Durations in a log-linear histogram: 8 buckets an octave, so a bucket is at most 12.5 % wide.
 * Bucket of d ns: d < 8 ? d : 8 * (log2(d) - 2) + the three bits below the leading one. 256 buckets
 * reach past 2^33 ns; longer ones land in the last.
 */
#define STATS_HIST_BUCKETS 256u

struct stats_kernel {
	uint64_t nr_launches; /* counted by launching threads, graph nodes included */
	uint64_t nr_timed;    /* launches whose completion record was read: the histogram's total */
	uint64_t total_ns;    /* GPU time of the timed ones */
	uint32_t grid[3];     /* of the latest launch, in blocks */
	uint32_t block[3];
	uint32_t grid_type; /* enum qmd_grid_type */
	uint32_t tpcs;      /* TPCs the latest launch was allowed */
	uint32_t flags;     /* STATS_KERNEL_* */
	/* How the latest launch of a borrower was made, and why: stats_way_pack(); 0: nobody
	 * asked. */
	uint32_t way_reason;
	uint32_t nr_split; /* launches made in atoms or claimed */
	uint32_t nr_cut;   /* claimed launches that an owner cut short and that were resumed */
	uint32_t block_us; /* predicted time of a block; 0 = unknown */
	uint32_t reserved;
	char name[STATS_NAME_BYTES]; /* as the driver gives it, cut and NUL-terminated */
	uint32_t hist[STATS_HIST_BUCKETS];
};

#define STATS_KERNEL_GRAPH 1u /* seen as a node of a graph */
#define STATS_KERNEL_WIDENED                                                                       \
	2u                     /* needed more TPCs than the quota for its cluster or grid barrier */
#define STATS_KERNEL_DRIVER 4u /* launched by the driver itself, as for some memsets */

/* One named counter of stats.def; group and sentence are in the table, not in the file. */
struct stats_header {
	uint32_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint32_t kernel_bytes; /* size of a row */
	uint32_t nr_kernels_max;
	uint32_t nr_counters;
	uint32_t pid;
	uint32_t quota_tpcs; /* 0 = no quota */
	uint32_t device_tpcs;
	uint32_t nr_kernels;  /* rows in use; release store after the row is complete */
	uint64_t started_ns;  /* CLOCK_MONOTONIC */
	uint64_t updated_ns;  /* last pass of the tracker */
	char command[64];     /* name of the program, for people */
	uint64_t counter[64]; /* in the order of stats.def */
};

struct stats_region {
	struct stats_header header;
	struct stats_kernel kernel[STATS_MAX_KERNELS];
};

_Static_assert(offsetof(struct stats_header, started_ns) == 40, "layout");
_Static_assert(offsetof(struct stats_header, counter) == 120, "layout");
_Static_assert(sizeof(struct stats_header) == 120 + 64 * 8, "layout");
_Static_assert(offsetof(struct stats_kernel, way_reason) == 60, "layout");
_Static_assert(offsetof(struct stats_kernel, name) == 80, "layout");
_Static_assert(sizeof(struct stats_kernel) == 80 + STATS_NAME_BYTES + 4 * STATS_HIST_BUCKETS,
	       "layout");

/*
 * How a launch was made: enum split_way in the low byte, enum split_reason in the next (both of
 * sched/split.h, whose numbers are the file's), then the atoms of the launch, 0 unless it was made
 * in atoms. More than 255 atoms count as 255.
 */
static inline uint32_t stats_way_pack(uint32_t way, uint32_t reason, uint32_t nr_atoms)
{
	return way | reason << 8 | (nr_atoms < 255 ? nr_atoms : 255) << 16;
}

static inline uint32_t stats_way(uint32_t way_reason)
{
	return way_reason & 0xff;
}

static inline uint32_t stats_reason(uint32_t way_reason)
{
	return way_reason >> 8 & 0xff;
}

static inline uint32_t stats_atoms(uint32_t way_reason)
{
	return way_reason >> 16 & 0xff;
}

/* The bucket a duration falls into, and the smallest duration of a bucket. Source: formula above.
 */
uint32_t stats_bucket_of(uint64_t duration_ns);
uint64_t stats_bucket_floor_ns(uint32_t bucket);

/* 0, or -EPROTO when header, sizes or counts are not of this version; bytes = what is mapped. */
int stats_region_valid(const struct stats_region *region, size_t bytes);

/* Quantile q (0..1) of a row, interpolated inside its bucket; 0 when nothing was timed. */
uint64_t stats_quantile_ns(const struct stats_kernel *kernel, double q);

#endif
