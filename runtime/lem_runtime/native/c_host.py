"""The native core in a program that has no Python: what ``native/__init__.py`` and ``native/call.py`` do, as C.

Gives the first part of a C file. It starts the workers with pthreads, keeps calls for the next use, prints lines and puts
faults into words. Behind it stand the functions of one program (see ``lem.aot``), which say of themselves what
``struct lem_code`` holds. The offsets are those of ``native/pool.py``, from which the core is made.
"""

from __future__ import annotations

from string import Template
from typing import Final

from lem_runtime.abi import layout
from lem_runtime.native import pool


def c_host_text() -> str:
    """C11 with pthreads, as GCC and Clang take it."""
    numbers = {k: v for module in (layout, pool) for k, v in vars(module).items() if k.isupper() and isinstance(v, int)}
    table = ", ".join(f"(void *)lem_{name}" if name != "mark" else "(void *)lem_no_mark" for name in layout.TABLE)
    symbols = "\n".join(f"extern void lem_{name}(void);" for name in layout.TABLE if name != "mark")
    words = {"TABLE": table, "TABLE_SYMBOLS": symbols, "STACK": layout.TASK_STACK_BYTES * 3 // 2}
    return Template(_TEXT).substitute(numbers | words)


_TEXT: Final = r"""
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int32_t lem_entry(void *ctx, void *args, int64_t lo, int64_t hi);

/* The core. */
extern void lem_worker(void *pool, int64_t index);
extern void lem_pool_init(void *pool);
extern void lem_call_end(void *call);
extern void lem_call_drop(void *call);
extern void lem_trim(void *pool);
$TABLE_SYMBOLS

static const char *lem_headline(int code);

/* ---------------------------------------------------------------- texts */
struct lem_text { char *at; size_t n, size; };

static void lem_put(struct lem_text *t, const char *s) {
    while (*s && t->n + 1 < t->size) t->at[t->n++] = *s++;
    t->at[t->n] = 0;
}

/* Digits and exponent of a number with so few digits that reading them gives the number back, and no fewer. */
static int lem_digits(double x, bool single, char *digits) {
    char tried[64];
    int n = 1;
    for (; n < 17; n++) {
        snprintf(tried, sizeof tried, "%.*e", n - 1, x);
        double back = strtod(tried, NULL);
        if (single ? (float)back == (float)x : back == x) break;
    }
    snprintf(tried, sizeof tried, "%.*e", n - 1, x);
    char *e = strchr(tried, 'e');
    int count = 0;
    for (char *p = tried; p < e; p++) if (*p >= '0' && *p <= '9') digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0') count--;
    digits[count] = 0;
    return atoi(e + 1);
}

/* A float as Python shows it: 1.0, 0.1, 1e+16, nan. */
static void lem_put_float(struct lem_text *t, double x, bool single) {
    char digits[32], made[64];
    if (x != x) { lem_put(t, "nan"); return; }
    if (x < 0 || (x == 0 && 1 / x < 0)) { lem_put(t, "-"); x = -x; }
    if (x == 1.0 / 0.0) { lem_put(t, "inf"); return; }
    int e = x == 0 ? (strcpy(digits, "0"), 0) : lem_digits(x, single, digits), n = (int)strlen(digits), k = 0;
    if (e < -4 || e >= 16) {
        made[k++] = digits[0];
        if (n > 1) { made[k++] = '.'; memcpy(made + k, digits + 1, n - 1); k += n - 1; }
        snprintf(made + k, sizeof made - k, "e%c%02d", e < 0 ? '-' : '+', e < 0 ? -e : e);
    } else {
        if (e < 0) made[k++] = '0';
        for (int i = 0; i <= e; i++) made[k++] = i < n ? digits[i] : '0';
        made[k++] = '.';
        for (int i = -1; i > e; i--) made[k++] = '0';
        for (int i = e < 0 ? 0 : e + 1; i < n; i++) made[k++] = digits[i];
        if (made[k - 1] == '.') made[k++] = '0';
        made[k] = 0;
    }
    lem_put(t, made);
}

/* A recorded word: 'i' signed, 'u' unsigned, 'b' bool, 'd' double, 'f' a float held as one. */
static void lem_put_word(struct lem_text *t, int64_t v, char kind) {
    char made[32];
    double x;
    memcpy(&x, &v, sizeof x);
    if (kind == 'b') { lem_put(t, v & 255 ? "True" : "False"); return; }
    if (kind == 'd' || kind == 'f') { lem_put_float(t, x, kind == 'f'); return; }
    snprintf(made, sizeof made, kind == 'u' ? "%" PRIu64 : "%" PRId64, v);
    lem_put(t, made);
}

/* The same as C's printf formats it ("": a float as above), with commas between thousands and filled up to a width. */
static void lem_put_as(struct lem_text *t, int64_t v, char kind, const char *format, double scale, bool commas,
                       const char *fill, char align, int width) {
    char made[512], grouped[700];
    double x = (double)v;
    if (kind == 'd' || kind == 'f') memcpy(&x, &v, sizeof x);
    if (kind == 'u') x = (double)(uint64_t)v;
    struct lem_text plain = {made, 0, sizeof made};
    made[0] = 0;
    if (!*format) lem_put_float(&plain, x, kind == 'f');
    else if (strpbrk(format, "eEfFgG")) snprintf(made, sizeof made, format, x * scale);
    else snprintf(made, sizeof made, format, (long long)(kind == 'b' ? v & 255 : v));
    int n = 0, digits = 0;
    const char *p = made;
    while (*p && (*p < '0' || *p > '9')) grouped[n++] = *p++;
    while (p[digits] >= '0' && p[digits] <= '9') digits++;
    for (int i = 0; i < digits; i++) {
        if (commas && i && (digits - i) % 3 == 0) grouped[n++] = ',';
        grouped[n++] = p[i];
    }
    strcpy(grouped + n, p + digits);
    int room = width - (int)strlen(grouped), before = align == '<' ? 0 : align == '^' ? room / 2 : room;
    for (int i = 0; i < before; i++) lem_put(t, fill);
    lem_put(t, grouped);
    for (int i = before < 0 ? 0 : before; i < room; i++) lem_put(t, fill);
}

static _Thread_local char lem_message[2048];

/* Note what is wrong; gives the code. */
static int lem_fail(int code, const char *format, ...) {
    va_list values;
    int n = snprintf(lem_message, sizeof lem_message, "E%04d: %s: ", code, lem_headline(code));
    va_start(values, format);
    vsnprintf(lem_message + n, sizeof lem_message - n, format, values);
    va_end(values);
    return code;
}

/* ---------------------------------------------------------------- sizes */
static int64_t lem_div(int64_t a, int64_t b, bool *bad) {
    if (b == 0 || (b == -1 && a == INT64_MIN)) { *bad = true; return 0; }
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static int64_t lem_mod(int64_t a, int64_t b, bool *bad) {
    if (b == 0 || b == -1) { *bad |= b == 0; return 0; }
    return a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0);
}

static int64_t lem_min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t lem_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* Bytes of an array; false where they are too many. */
static bool lem_bytes(int rank, const int64_t *sizes, int64_t n_bytes, int64_t *found) {
    bool none = false, large = false;
    for (int i = 0; i < rank; i++) {
        none |= sizes[i] == 0;
        large |= __builtin_mul_overflow(n_bytes, sizes[i], &n_bytes);
    }
    *found = none ? 0 : n_bytes;
    return none || !large;
}

static bool lem_overlap(const void *a, int64_t n, const void *b, int64_t m) {
    uintptr_t p = (uintptr_t)a, q = (uintptr_t)b;
    return n > 0 && m > 0 && p < q + (uintptr_t)m && q < p + (uintptr_t)n;
}

/* An array in the argument block: its address, sizes, and strides in elements. scale: of one in an array of records. */
static uint64_t *lem_array(uint64_t *at, const void *p, int rank, const int64_t *sizes, bool first_is_inner, int64_t scale) {
    uint64_t *strides = at + 1 + rank;
    int64_t step = scale;
    *at = (uint64_t)(uintptr_t)p;
    for (int i = 0; i < rank; i++) {
        int axis = first_is_inner ? i : rank - 1 - i;
        at[1 + axis] = (uint64_t)sizes[axis];
        strides[axis] = (uint64_t)step;
        step *= sizes[axis];
    }
    return strides + rank;
}

static uint64_t *lem_scalar(uint64_t *at, const void *value, size_t n_bytes) {
    *at = 0;
    memcpy(at, value, n_bytes);  /* little-endian */
    return at + 1;
}

/* "kernel[i=3, j=4]" from the number of an element; the last axis is the fastest. bounds: from, to, step. */
static bool lem_indices(struct lem_text *t, const char *kernel, int rank, const char *const *names,
                        const int64_t (*bounds)[3], int64_t order, bool bad) {
    int64_t found[16];
    if (bad || order < 0 || rank > 16) return false;
    for (int i = rank - 1; i >= 0; i--) {
        const int64_t *b = bounds[i];
        int64_t n = lem_max(-lem_div(-(b[1] - b[0]), b[2], &bad), 1);
        found[i] = b[0] + order % n * b[2];
        order /= n;
    }
    lem_put(t, kernel);
    for (int i = 0; i < rank; i++) {
        lem_put(t, i ? ", " : "[");
        lem_put(t, names[i]);
        lem_put(t, "=");
        lem_put_word(t, found[i], 'i');
    }
    lem_put(t, "]");
    return true;
}

/* ---------------------------------------------------------------- the pool */
struct lem_call { struct lem_call *next; int64_t n_workers; unsigned char *at; };

enum { LEM_FAULT = $CALL_BYTES, LEM_CANCEL = LEM_FAULT + $FAULT_BYTES, LEM_ENTRY_CTX = LEM_CANCEL + 64,
       LEM_BODY_CTXS = LEM_ENTRY_CTX + $CTX_BYTES };

static pthread_mutex_t lem_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t lem_once = PTHREAD_ONCE_INIT;
static unsigned char *lem_pool;       /* never freed: workers live in it */
static int64_t lem_n_started;         /* workers besides whoever calls */
static int lem_n_wanted;              /* 0: not said */
static int lem_n_usual;               /* what lem_usual_threads found; 0: not looked yet */
static struct lem_call *lem_idle;
static int lem_n_idle;
enum { LEM_MOST_IDLE = 16 };

static void lem_no_mark(void *ctx, int32_t site, int32_t phase) { (void)ctx, (void)site, (void)phase; }
static void *const lem_table[] = {$TABLE};

/* The threads of the pool do not exist in a child. */
static void lem_after_fork(void) {
    pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    lem_lock = fresh;
    lem_pool = NULL;
    lem_n_started = 0;
    lem_idle = NULL;
    lem_n_idle = 0;
}

static void lem_begin_process(void) { pthread_atfork(NULL, NULL, lem_after_fork); }

static int lem_usual_threads(void) {
    const char *told = getenv("LEM_THREADS");
    int n = told ? atoi(told) : 0;
    if (n > 0) return n;
#ifdef __linux__
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0) return CPU_COUNT(&mine);
#endif
    long all = sysconf(_SC_NPROCESSORS_ONLN);
    return all > 0 ? (int)all : 1;
}

struct lem_birth { void *pool; int64_t index; };

static void *lem_live(void *given) {
    struct lem_birth birth = *(struct lem_birth *)given;
    free(given);
    lem_worker(birth.pool, birth.index);
    return NULL;
}

/* Make sure of n workers, the caller included; gives how many there are. Signals stay with the program's own threads. */
static int64_t lem_grow(int64_t n) {
    sigset_t all, before;
    pthread_attr_t attributes;
    if (n - 1 <= lem_n_started) return n;
    if (pthread_attr_init(&attributes)) return lem_n_started + 1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (lem_n_started < n - 1) {
        pthread_t thread;
        struct lem_birth *birth = malloc(sizeof *birth);
        if (!birth) break;
        birth->pool = lem_pool;
        birth->index = lem_n_started + 1;
        if (pthread_create(&thread, &attributes, lem_live, birth)) { free(birth); break; }
        lem_n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return lem_min(n, lem_n_started + 1);
}

static void lem_set(unsigned char *at, int offset, int64_t value) { memcpy(at + offset, &value, 8); }
static int64_t lem_get(const unsigned char *at, int offset) { int64_t value; memcpy(&value, at + offset, 8); return value; }
static int64_t lem_address(const void *p) { return (int64_t)(intptr_t)p; }

static struct lem_call *lem_new_call(int64_t n_workers) {
    struct lem_call *call = calloc(1, sizeof *call);
    void *at = NULL;
    size_t size = LEM_BODY_CTXS + $CTX_BYTES * (size_t)n_workers;
    if (!call || posix_memalign(&at, 64, size)) { free(call); return NULL; }
    memset(at, 0, size);
    call->n_workers = n_workers;
    call->at = at;
    for (int64_t i = 0; i <= n_workers; i++) {
        unsigned char *ctx = call->at + LEM_ENTRY_CTX + $CTX_BYTES * i;
        lem_set(ctx, $CTX_CANCEL, lem_address(call->at + LEM_CANCEL));
        lem_set(ctx, $CTX_FAULT, lem_address(call->at + LEM_FAULT));
        lem_set(ctx, $CTX_TABLE, lem_address(lem_table));
        lem_set(ctx, $CTX_WORKER, i ? i - 1 : 0);
        lem_set(ctx, $CTX_N_WORKERS, n_workers);
        lem_set(ctx, $CTX_POOL, lem_address(call->at));
        lem_set(ctx, $CTX_DEPTH, i ? 1 : 0);
    }
    return call;
}

/* A call ready to run; NULL where there is no memory for it. */
static struct lem_call *lem_take(void) {
    static const int zero[] = {$CALL_EPOCH, $CALL_N_PRINTS, $CALL_TOTAL_PRINTS, $CALL_N_MARKS, $CALL_GRIDS, $CALL_NEXT,
                               $CALL_N_PIECES, $CALL_LOCK, $CALL_SITES, $CALL_N_SITES};
    struct lem_call *call = NULL;
    void *made = NULL;
    pthread_once(&lem_once, lem_begin_process);
    pthread_mutex_lock(&lem_lock);
    if (!lem_pool && !posix_memalign(&made, 64, $POOL_BYTES)) {
        lem_pool = memset(made, 0, $POOL_BYTES);
        lem_pool_init(lem_pool);
    }
    if (!lem_n_usual) lem_n_usual = lem_usual_threads();
    int64_t n = lem_n_wanted ? lem_n_wanted : lem_n_usual;
    n = lem_pool ? lem_grow(lem_min(n, $MAX_WORKERS)) : 1;
    for (struct lem_call **p = &lem_idle; *p && !call; p = call ? p : &(*p)->next)
        if ((*p)->n_workers == n) { call = *p; *p = call->next; lem_n_idle--; break; }
    unsigned char *pool = lem_pool;
    pthread_mutex_unlock(&lem_lock);
    if (!pool || !(call = call ? call : lem_new_call(n))) return NULL;
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) lem_set(call->at, zero[i], 0);
    memset(call->at + LEM_FAULT, 0, LEM_ENTRY_CTX - LEM_FAULT);
    lem_set(call->at, $CALL_WORST_PRINT, -1);
    lem_set(call->at, $CALL_POOL, lem_address(pool));
    lem_set(call->at, $CALL_CTXS, lem_address(call->at + LEM_BODY_CTXS));
    lem_set(call->at, $CALL_N_WORKERS, call->n_workers);
    lem_set(call->at + LEM_ENTRY_CTX, $CTX_ARENA, lem_address(call->at + $CALL_ENTRY_ARENA));
    lem_set(call->at + LEM_BODY_CTXS, $CTX_ARENA, lem_address(call->at + $CALL_BODY_ARENA));
    for (int64_t i = 1; i < call->n_workers; i++)
        lem_set(call->at + LEM_BODY_CTXS + $CTX_BYTES * i, $CTX_ARENA, lem_address(pool + $POOL_ARENAS + $ARENA_BYTES * i));
    return call;
}

static void lem_give_back(struct lem_call *call) {
    int32_t big = 0;
    lem_call_end(call->at);
    memcpy(&big, call->at + $CALL_BIG, 4);
    memset(call->at + $CALL_BIG, 0, 4);
    if (big) lem_trim((void *)(intptr_t)lem_get(call->at, $CALL_POOL));
    pthread_mutex_lock(&lem_lock);
    bool is_kept = lem_n_idle < LEM_MOST_IDLE;
    if (is_kept) {
        call->next = lem_idle;
        lem_idle = call;
        lem_n_idle++;
    }
    pthread_mutex_unlock(&lem_lock);
    if (is_kept) return;
    lem_call_drop(call->at);
    free(call->at);
    free(call);
}

static void lem_threads(int n) {
    pthread_mutex_lock(&lem_lock);
    lem_n_wanted = n > 0 ? n : 0;
    pthread_mutex_unlock(&lem_lock);
}

/* ---------------------------------------------------------------- a run */
/* One compiled function: its entry, and what its places (numbered) say. k: dimensions and whole numbers of the call. */
struct lem_code {
    const char *name;
    lem_entry *entry;
    bool is_deep;                     /* tasks in it call each other in circles: it needs a large stack */
    int32_t n_sites;
    void (*text)(struct lem_text *t, int32_t site, const int64_t *v);
    bool (*where)(struct lem_text *t, int32_t site, int64_t order, const int64_t *k);
    const char *const *places;
};

static int lem_in_front(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    for (int i = 0; i < 3; i++) if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

static void lem_print_lines(const struct lem_code *code, struct lem_call *call, const int64_t *k) {
    int64_t n = lem_get(call->at, $CALL_N_PRINTS), total = lem_get(call->at, $CALL_TOTAL_PRINTS);
    int64_t (*rows)[$PRINT_WORDS] = (void *)(intptr_t)lem_get(call->at, $CALL_PRINTS);
    if (n == 0) return;
    qsort(rows, (size_t)n, sizeof *rows, lem_in_front);
    for (int64_t i = 0; i < n; i++) {
        char line[2048];
        struct lem_text t = {line, 0, sizeof line};
        line[0] = 0;
        int32_t site = (int32_t)rows[i][3];
        if (site < 0 || site >= code->n_sites) continue;
        if (code->where(&t, site, rows[i][1], k)) lem_put(&t, ": ");
        code->text(&t, site, rows[i] + 5);
        puts(line);
    }
    if (total > n) printf("... and %" PRId64 " more lines\n", total - n);
    fflush(stdout);
}

static int lem_explain(const struct lem_code *code, struct lem_call *call, const int64_t *k, int32_t status) {
    int32_t number, site;
    char said[1500];
    struct lem_text t = {said, 0, sizeof said};
    said[0] = 0;
    memcpy(&number, call->at + LEM_FAULT + $FAULT_CODE, 4);
    memcpy(&site, call->at + LEM_FAULT + $FAULT_SITE, 4);
    if (number == 0 || site < 0 || site >= code->n_sites)
        return lem_fail(number ? number : 622, "`%s` stopped without saying where (status %d)", code->name, (int)status);
    code->text(&t, site, (const int64_t *)(call->at + LEM_FAULT + $FAULT_VALUES));
    size_t before = t.n;
    lem_put(&t, " (in ");
    if (code->where(&t, site, lem_get(call->at + LEM_FAULT, $FAULT_ORDER), k)) lem_put(&t, ")");
    else said[t.n = before] = 0;
    if (code->places[site]) { lem_put(&t, " at "); lem_put(&t, code->places[site]); }
    return lem_fail(number, "%s", said);
}

struct lem_start { lem_entry *entry; void *ctx, *args; int32_t status; };

static void *lem_on_stack(void *given) {
    struct lem_start *s = given;
    s->status = s->entry(s->ctx, s->args, 0, -1);
    return NULL;
}

/* Run an entry on a stack of its own that is large enough. False where there is none. */
static bool lem_run_deep(struct lem_start *start) {
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes)) return false;
    bool failed = pthread_attr_setstacksize(&attributes, $STACK)
        || pthread_create(&thread, &attributes, lem_on_stack, start);
    pthread_attr_destroy(&attributes);
    return !failed && !pthread_join(thread, NULL);
}

static int lem_run(const struct lem_code *code, void *args, const int64_t *k) {
    struct lem_call *call = lem_take();
    if (!call) return lem_fail(614, "no memory for a call of `%s`", code->name);
    struct lem_start start = {code->entry, call->at + LEM_ENTRY_CTX, args, 0};
    int number = 0;
    if (!code->is_deep) lem_on_stack(&start);
    else if (!lem_run_deep(&start)) number = lem_fail(614, "no stack of %d MiB for `%s`", $STACK >> 20, code->name);
    lem_print_lines(code, call, k);
    if (start.status) number = lem_explain(code, call, k, start.status);
    lem_give_back(call);
    return number;
}
"""

__all__ = ["c_host_text"]
