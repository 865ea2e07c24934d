/* meter.c - clock, CPU time of the measured processes, latencies and the report of one window. */
#include "load.h"

#include "../counting.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 64, SECONDS_MAX = 600, LATENCY_US_MAX = 2000000, PHASE_ANSWERS_MAX = 1000000 };
static const uint64_t SETTLING_SHARE = 10;      /* of a phase, the part at its begin that still shows the one before */

static int processes[PROCESSES_MAX], process_count;
static int measuring;
static uint64_t begun_ns, begun_cpu_ns, second_begun_ns;
static struct totals begun, second_begun;
static struct counters *counters, begun_counters;
static long per_second[SECONDS_MAX];
static int seconds;
static unsigned latency[LATENCY_US_MAX + 1];    /* one bucket for each microsecond; the last for all above */

/* With phases: every answer with the phase in which its request was due, however late it came. */
static struct phase_answer {
    unsigned phase, us;
} phase_answers[PHASE_ANSWERS_MAX];
static size_t phase_answer_count;

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void meter_watch_process(int pid) {
    if (process_count == PROCESSES_MAX) die("too many processes");
    processes[process_count++] = pid;
}

/* The scheduler's own count, in nanoseconds, over all threads: no rounding to ticks, and time that the hypervisor took
 * away is not in it. */
static uint64_t cpu_ns(void) {
    uint64_t sum = 0;
    for (int i = 0; i < process_count; i++) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%d/task", processes[i]);
        DIR *folder = opendir(path);
        if (!folder) continue;
        for (struct dirent *entry; (entry = readdir(folder));) {
            unsigned long long ns;
            if (entry->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", processes[i], entry->d_name);
            FILE *f = fopen(path, "r");
            if (!f) continue;
            if (fscanf(f, "%llu", &ns) == 1) sum += ns;
            fclose(f);
        }
        closedir(folder);
    }
    return sum;
}

static void map_counters(void) {
    int fd = open(options.counters_file, O_RDWR);
    if (fd < 0) die(options.counters_file);
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counters == MAP_FAILED) die("mmap");
    close(fd);
}

void meter_begin(void) {
    if (options.counters_file) {
        map_counters();
        counters->measuring = 1;
        begun_counters = *counters;
    }
    measuring = 1;
    begun = second_begun = totals;
    begun_cpu_ns = cpu_ns();
    begun_ns = second_begun_ns = now_ns();
}

void meter_tick(uint64_t now) {
    if (!measuring || now - second_begun_ns < 1000000000u || seconds == SECONDS_MAX) return;
    per_second[seconds++] = totals.answered - second_begun.answered;
    second_begun = totals;
    second_begun_ns = now;
}

long meter_phase(uint64_t now, uint64_t *since) {
    if (!measuring || now < begun_ns) return -1;
    long number = (long)((now - begun_ns) / options.phase_ns);
    *since = begun_ns + (uint64_t)number * options.phase_ns;
    return number;
}

/* A request belongs to the phase in which it was due. */
static void note_phase(uint64_t due_ns, unsigned us) {
    uint64_t since = 0;
    long number = meter_phase(due_ns, &since);
    if (number < 0 || due_ns - since < options.phase_ns / SETTLING_SHARE) return;
    if (phase_answer_count == PHASE_ANSWERS_MAX) die("too many answers for phases");
    phase_answers[phase_answer_count++] = (struct phase_answer){(unsigned)number, us};
}

static int by_phase(const void *a, const void *b) {
    const struct phase_answer *x = a, *y = b;
    if (x->phase != y->phase) return x->phase < y->phase ? -1 : 1;
    return (x->us > y->us) - (x->us < y->us);
}

/* The p99 of each phase. The last one may not be whole, and is left out. */
static void report_phases(void) {
    qsort(phase_answers, phase_answer_count, sizeof *phase_answers, by_phase);
    printf(", \"phases_us\": [");
    for (size_t first = 0, next; first < phase_answer_count; first = next) {
        for (next = first; next < phase_answer_count && phase_answers[next].phase == phase_answers[first].phase;) next++;
        if (next == phase_answer_count) break;
        printf("%s%u", first ? ", " : "", phase_answers[first + (next - first) * 99 / 100].us);
    }
    printf("]");
}

void meter_answer(uint64_t sent_at_ns) {
    if (!measuring) return;
    uint64_t us = (now_ns() - sent_at_ns) / 1000;
    if (us > LATENCY_US_MAX) us = LATENCY_US_MAX;
    latency[us]++;
    if (options.phase_ns) note_phase(sent_at_ns, (unsigned)us);
}

static unsigned percentile(double part, long count) {
    long seen = 0;
    for (unsigned us = 0; us <= LATENCY_US_MAX; us++) {
        seen += latency[us];
        if (seen && (double)seen >= part * (double)count) return us;
    }
    return 0;
}

void meter_report(void) {
    double wall_us = (double)(now_ns() - begun_ns) / 1e3, cpu_us = (double)(cpu_ns() - begun_cpu_ns) / 1e3;
    long answered = totals.answered - begun.answered;
    printf("{\"requests\": %ld, \"wall_us\": %.1f, \"cpu_us\": %.1f, \"cpu_us_per_request\": %.4f, "
           "\"per_second\": %.1f, \"utilisation\": %.4f, \"bytes\": %llu, ",
           answered, wall_us, cpu_us, answered ? cpu_us / (double)answered : 0,
           (double)answered * 1e6 / wall_us, cpu_us / wall_us, (unsigned long long)(totals.bytes - begun.bytes));
    printf("\"p50_us\": %u, \"p99_us\": %u, \"refused\": %ld, \"broken\": %ld, \"vanished\": %ld, \"flooded\": %ld, "
           "\"request_bytes\": %zu, \"each_second\": [",
           percentile(0.5, answered), percentile(0.99, answered), totals.refused - begun.refused,
           totals.broken - begun.broken, totals.vanished - begun.vanished,
           totals.flooded - begun.flooded, request_length());
    for (int i = 0; i < seconds; i++) printf("%s%ld", i ? ", " : "", per_second[i]);
    printf("]");
    if (options.phase_ns) report_phases();
    if (counters) {
        counters->measuring = 0;
        printf(", \"counted\": {");
        for (int i = 0; i < COUNTED_KINDS; i++)
            printf("%s\"%s\": %llu", i ? ", " : "", counted_names[i],
                   (unsigned long long)(counters->total[i] - begun_counters.total[i]));
        printf("}");
    }
    printf("}\n");
}
