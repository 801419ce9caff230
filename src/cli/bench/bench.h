/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos bench`: what its files share.
 *
 * Glossary
 *   scenario     a foreground (a service) and a background (a job) that share one GPU
 *   system       a way of sharing: alone, time slices, MPS, ..., lithos
 *   measurement  one system in one repetition
 *   window       the part of a measurement that counts; both programs are warm and busy before it
 *   session      the folder through which bench and the programs of one measurement talk:
 *                  arrivals       scheduled arrivals of requests, ns after the start, one a line
 *                  ready.NAME     the program is warm; lines `device TEXT`, `version TEXT`,
 *                                 `service_ns N`
 *                  go             "START BEGIN END": CLOCK_MONOTONIC ns of the schedule's zero and
 *                                 of the window's two ends
 *                  done.NAME      every request of the schedule was answered
 *                  stop           the program shall write its results and exit with 0
 *                  result.NAME    foreground: "INDEX COMPLETED"; background: "BEGAN ENDED", a line
 *                                 an iteration; ns after the start
 *                In the folder of the run, for the scenario `long`:
 *                  calibration.ROLE  "rounds N", from the first program of that role
 *                Files appear by rename, so whoever sees one sees all of it.
 *   leftover     what a background could do beside the foreground if sharing cost nothing: its rate
 *                alone x (1 - the foreground's busy share alone)
 */
#ifndef LITHOS_CLI_BENCH_H
#define LITHOS_CLI_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_PATH_MAX     1024
#define BENCH_TEXT_MAX     512
#define BENCH_MAX_SYSTEMS  16
#define BENCH_MIN_REQUESTS 800 /* below, a p99 rests on fewer than eight requests */
#define BENCH_MAX_VERSIONS 8

#define BENCH_HYBRID "hybrid"
#define BENCH_LONG   "long"

/* The window begins so long after the first request, and requests get so long after its end. */
#define BENCH_LEAD_S  0.5
#define BENCH_DRAIN_S 20.0

struct bench_system;

struct bench_options {
	const char *scenario; /* BENCH_HYBRID or BENCH_LONG */
	const char *out;
	const char *mps_control; /* NULL: nvidia-cuda-mps-control on PATH */
	const char *python;
	const char *fg_quota;
	char partition[2][16]; /* quotas of foreground and background */
	const struct bench_system *systems[BENCH_MAX_SYSTEMS];
	size_t nr_systems;
	unsigned int repetitions;
	int is_sim;
	int keeps_folder;
	int allows_short;
	double seconds; /* the window's length */
	double rate;    /* requests a second */
	double scale;   /* sim: kernels so much longer, and so much fewer */
	double ready_limit_s;
	uint64_t seed;
};

/* What the programs said of themselves when they were ready. */
struct bench_facts {
	char device[128];
	char versions[BENCH_MAX_VERSIONS][128];
	size_t nr_versions;
	double service_ms; /* median of unloaded requests; 0: not told */
};

/* One system in one repetition. Latencies are in order of arrival, owned. */
struct measurement {
	const struct bench_system *system;
	unsigned int repetition;
	int has_failed;
	char why[2 * BENCH_TEXT_MAX];
	double *latency_ms;
	size_t nr_requests;   /* that arrived in the window */
	size_t nr_unfinished; /* of them; their latency is what they had waited at the end */
	double fg_p50_ms;
	double fg_p95_ms;
	double fg_p99_ms;
	double service_ms;
	double bg_rate;           /* iterations a second in the window */
	double bg_leftover_ratio; /* NAN where alone was not measured, as the next */
	double fg_p99_ratio;
};

/* All of a run. The daemon's and programs' files are below `folder`. */
struct bench {
	struct bench_options options;
	char folder[96];
	char programs[BENCH_PATH_MAX]; /* where our programs lie */
	char exe[BENCH_PATH_MAX];      /* of lithos itself */
	struct bench_facts facts;
	struct measurement
		*measurements; /* repetition by repetition, in the order of the options */
	size_t nr_measurements;
};

#endif
