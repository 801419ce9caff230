/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scenarios: which programs share the GPU.
 *
 * A row says of each tenant what it runs, how it is driven (requests at a rate, or work without
 * end), and what it is worth: a quota, or best effort. Nothing else in bench knows a scenario by
 * name, so another mix is another row. Owners are given --priority 10.
 *
 * Rates leave a service some 60 % busy on its quota. Quotas are percents, so that they fit GPUs of
 * any size; on the 66 TPCs of an H200, 75 % and 24 % are 50 and 16 of them. Under `partition`
 * everybody has a part, the job too, since best effort without lending would be nothing: 60, 19 and
 * 19 % are 40, 13 and 13 TPCs; 39, 39 and 19 % are 26, 26 and 13.
 *
 * Tested by tests/unit/bench_systems.c and tests/integration/bench_mixes.bats.
 */
#include "cli/bench/scenarios.h"

#include <stdio.h>
#include <string.h>

#define MODEL(model, batch) "model_tenant.py --model " model " --batch " batch
#define GRAPH(model, batch) MODEL(model, batch) " --mode graph"
#define SIM_GRAPH(work)     "sim_tenant --graph --work " work
#define LLAMA_TRAINING      MODEL("llama-train", "2")
#define THREE_PREFILLS      GRAPH("prefill", "1") " --repeat 3"
#define SIX_BERTS           GRAPH("bert-large", "8") " --repeat 6"

/* clang-format off */
const struct bench_scenario bench_scenarios[] = {
	{"hybrid", "resnet50", DEFAULTS_PAIR, {
		{.name = "foreground", .what = "ResNet-50 b8, graph",
		 .gpu = GRAPH("resnet50", "8"), .sim = SIM_GRAPH("resnet50"),
		 .quota = "100%", .partition = "50%", .rate = 200},
		{.name = "background", .what = "Llama-type training, 8 layers, 2 x 2048",
		 .gpu = LLAMA_TRAINING, .sim = "sim_tenant --work llama-train", .partition = "50%"},
	}},
	{"hybrid", "resnet101", DEFAULTS_PAIR, {
		{.name = "foreground", .what = "ResNet-101 b8, graph",
		 .gpu = GRAPH("resnet101", "8"), .sim = SIM_GRAPH("resnet50"),
		 .quota = "100%", .partition = "50%", .rate = 150},
		{.name = "background", .what = "Llama-type training, 8 layers, 2 x 2048",
		 .gpu = LLAMA_TRAINING, .sim = "sim_tenant --work llama-train", .partition = "50%"},
	}},
	{"hybrid", "vit-b", DEFAULTS_PAIR, {
		{.name = "foreground", .what = "ViT-B b8, graph",
		 .gpu = GRAPH("vit-b", "8"), .sim = SIM_GRAPH("vit-b"),
		 .quota = "100%", .partition = "50%", .rate = 200},
		{.name = "background", .what = "GPT-2 training, 8 x 512, AdamW",
		 .gpu = MODEL("gpt2-train", "8"), .sim = "sim_tenant --work gpt2-train",
		 .partition = "50%"},
	}},
	{"long", "fma", DEFAULTS_LONG, {
		{.name = "foreground", .what = "a kernel of 60 us",
		 .gpu = "long_tenant", .sim = "long_tenant",
		 .quota = "100%", .partition = "50%", .rate = 500, .is_calibrated = 1},
		{.name = "background", .what = "a kernel of 30 ms",
		 .gpu = "long_tenant", .sim = "long_tenant",
		 .partition = "50%", .is_calibrated = 1},
	}},
	{"besteffort-graph", "resnet50", DEFAULTS_MIX, {
		{.name = "foreground", .what = "ResNet-50 b8, graph",
		 .gpu = GRAPH("resnet50", "8"), .sim = SIM_GRAPH("resnet50"),
		 .quota = "100%", .partition = "50%", .rate = 200},
		{.name = "background", .what = "three Llama-type prefills of 2048 as one graph",
		 .gpu = THREE_PREFILLS, .sim = SIM_GRAPH("prefill") " --repeat 3",
		 .partition = "50%"},
	}},
	{"besteffort-graph", "vit-b", DEFAULTS_MIX, {
		{.name = "foreground", .what = "ViT-B b8, graph",
		 .gpu = GRAPH("vit-b", "8"), .sim = SIM_GRAPH("vit-b"),
		 .quota = "100%", .partition = "50%", .rate = 200},
		{.name = "background", .what = "six passes of BERT-large b8 as one graph",
		 .gpu = SIX_BERTS, .sim = SIM_GRAPH("bert-large") " --repeat 6",
		 .partition = "50%"},
	}},
	{"stacking", "bert-large", DEFAULTS_MIX, {
		{.name = "a", .what = "BERT-large b8 x 128, graph",
		 .gpu = GRAPH("bert-large", "8"), .sim = SIM_GRAPH("bert-large"),
		 .quota = "75%", .partition = "60%", .rate = 230},
		{.name = "b", .what = "ResNet-50 b32, graph, without end",
		 .gpu = GRAPH("resnet50", "32"), .sim = SIM_GRAPH("resnet50-b32"),
		 .quota = "24%", .partition = "19%"},
		{.name = "c", .what = "Llama-type prefill of 2048, graph",
		 .gpu = GRAPH("prefill", "1"), .sim = SIM_GRAPH("prefill"), .partition = "19%"},
	}},
	{"stacking", "vit-b", DEFAULTS_MIX, {
		{.name = "a", .what = "ViT-B b16, graph",
		 .gpu = GRAPH("vit-b", "16"), .sim = SIM_GRAPH("vit-b"),
		 .quota = "75%", .partition = "60%", .rate = 200},
		{.name = "b", .what = "BERT-base b16 x 128, graph, without end",
		 .gpu = GRAPH("bert-base", "16"), .sim = SIM_GRAPH("bert-base"),
		 .quota = "24%", .partition = "19%"},
		{.name = "c", .what = "Llama-type training, 8 layers, 2 x 2048",
		 .gpu = LLAMA_TRAINING, .sim = "sim_tenant --work llama-train", .partition = "19%"},
	}},
	{"two-services", "vit-b", DEFAULTS_MIX, {
		{.name = "a", .what = "ViT-B b8, graph",
		 .gpu = GRAPH("vit-b", "8"), .sim = SIM_GRAPH("vit-b"),
		 .quota = "50%", .partition = "39%", .rate = 257},
		{.name = "b", .what = "BERT-base b8 x 128, graph",
		 .gpu = GRAPH("bert-base", "8"), .sim = SIM_GRAPH("bert-base"),
		 .quota = "50%", .partition = "39%", .rate = 353},
		{.name = "c", .what = "GPT-2 training, 8 x 512, AdamW",
		 .gpu = MODEL("gpt2-train", "8"), .sim = "sim_tenant --work gpt2-train",
		 .partition = "19%"},
	}},
	{"two-services", "resnet101", DEFAULTS_MIX, {
		{.name = "a", .what = "ResNet-101 b8, graph",
		 .gpu = GRAPH("resnet101", "8"), .sim = SIM_GRAPH("resnet50-b32"),
		 .quota = "50%", .partition = "39%", .rate = 200},
		{.name = "b", .what = "BERT-large b8 x 128, graph",
		 .gpu = GRAPH("bert-large", "8"), .sim = SIM_GRAPH("bert-large"),
		 .quota = "50%", .partition = "39%", .rate = 150},
		{.name = "c", .what = "Llama-type training, 8 layers, 2 x 2048",
		 .gpu = LLAMA_TRAINING, .sim = "sim_tenant --work llama-train", .partition = "19%"},
	}},
};
/* clang-format on */
const size_t nr_bench_scenarios = sizeof(bench_scenarios) / sizeof(bench_scenarios[0]);

const struct bench_scenario *scenario_find(const char *name, const char *model)
{
	for (size_t i = 0; i < nr_bench_scenarios; i++) {
		if (strcmp(bench_scenarios[i].name, name) == 0 &&
		    (model == NULL || strcmp(bench_scenarios[i].model, model) == 0))
			return &bench_scenarios[i];
	}
	return NULL;
}

size_t scenario_nr_tenants(const struct bench_scenario *scenario)
{
	size_t nr = 0;

	while (nr < BENCH_MAX_TENANTS && scenario->tenant[nr].name != NULL)
		nr++;
	return nr;
}

int scenario_is_pair(const struct bench_scenario *scenario)
{
	return scenario_nr_tenants(scenario) == 2 && tenant_is_service(&scenario->tenant[0]) &&
	       !tenant_is_service(&scenario->tenant[1]);
}

void scenario_names(const char *of, const char *between, char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < nr_bench_scenarios && used < size; i++) {
		const struct bench_scenario *row = &bench_scenarios[i];
		const char *name = of != NULL ? row->model : row->name;
		int is_wanted = of != NULL ? strcmp(row->name, of) == 0
					   : scenario_find(row->name, NULL) == row;

		if (is_wanted)
			used += (size_t)snprintf(ret_text + used, size - used, "%s%s",
						 used ? between : "", name);
	}
}
