/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos bench`: what its files share.
 *
 * Glossary
 *   scenario     the programs that share one GPU: services, which answer requests, and jobs, which
 *                work without end (scenarios.h)
 *   system       a way of sharing: alone, time slices, MPS, ..., lithos
 *   measurement  one system in one repetition
 *   window       the part of a measurement that counts; all are warm and busy before it
 *   session      the folder through which bench and the programs of one measurement talk:
 *                  arrivals.NAME  a service's scheduled arrivals of requests, ns after the start,
 *                                 one a line
 *                  loaded.NAME    the program can begin to warm up; one that does not say so warms
 *                                 up when it likes
 *                  turn.NAME      it shall: no other is warming up or at work
 *                  ready.NAME     the program is warm; lines `device TEXT`, `version TEXT`,
 *                                 `service_ns N`
 *                  go             "START BEGIN END": CLOCK_MONOTONIC ns of the schedule's zero and
 *                                 of the window's two ends
 *                  done.NAME      every request of a service's schedule was answered
 *                  stop           the program shall write its results and exit with 0
 *                  result.NAME    service: "INDEX COMPLETED"; job: "BEGAN ENDED", a line an
 *                                 iteration; ns after the start
 *                In the folder of the run, for the scenario `long`:
 *                  calibration.ROLE  "rounds N", from the first program of that role
 *                Files appear by rename, so whoever sees one sees all of it.
 *   ratio        against alone in the same repetition
 *   leftover     of one service and one job: what the job could do beside the service if sharing
 *                cost nothing: its rate alone x (1 - the service's busy share alone)
 */
#ifndef LITHOS_CLI_BENCH_H
#define LITHOS_CLI_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "cli/bench/scenarios.h"

#define BENCH_PATH_MAX     1024
#define BENCH_TEXT_MAX     512
#define BENCH_MAX_SYSTEMS  16
#define BENCH_MIN_REQUESTS 800 /* below, a p99 rests on fewer than eight requests */
#define BENCH_MAX_VERSIONS 8

/* The window begins so long after the first request. */
#define BENCH_LEAD_S 0.5

struct bench_system;

struct bench_options {
	const struct bench_scenario *scenario;
	const char *out;
	const char *mps_control; /* NULL: nvidia-cuda-mps-control on PATH */
	const char *python;
	const char *fg_quota; /* of the first tenant under lithos; NULL: the scenario's */
	char partition[BENCH_MAX_TENANTS][16]; /* "": the scenario's */
	const struct bench_system *systems[BENCH_MAX_SYSTEMS];
	size_t nr_systems;
	unsigned int repetitions;
	int is_sim;
	int keeps_folder;
	int allows_short;
	int tells_progress;
	double seconds;                 /* the window's length */
	double drain_s;                 /* so long requests get after it */
	double rate[BENCH_MAX_TENANTS]; /* requests a second; 0 for a job */
	double scale;                   /* sim: kernels so much longer, and so much fewer */
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

/* What a tenant did. NAN: it was not measured, is no service, or alone was not measured. */
struct tenant_result {
	double *latency_ms;   /* in order of arrival, owned */
	size_t nr_requests;   /* that arrived in the window */
	size_t nr_unfinished; /* of them; their latency is what they had waited at the end */
	double p50_ms;
	double p95_ms;
	double p99_ms;
	double service_ms; /* median of unloaded requests */
	double rate;       /* answered requests or iterations a second in the window */
	double p50_ratio;
	double p99_ratio;
	double rate_ratio;
};

/* One system in one repetition. */
struct measurement {
	const struct bench_system *system;
	unsigned int repetition;
	int has_failed;
	char why[2 * BENCH_TEXT_MAX];
	struct tenant_result tenant[BENCH_MAX_TENANTS];
	double rate_sum; /* of all tenants' rate_ratio */
	double leftover_ratio;
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
