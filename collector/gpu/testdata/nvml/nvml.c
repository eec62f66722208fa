/*
 * A stand-in for libnvidia-ml.so.1: what it answers is in the file named by LLM_PROBER_NVML_FILE, which is read again
 * whenever it changes, so that a test can have a GPU fail while a program runs.
 *
 *     # one "key = value" a line; the keys are the functions' names without nvml, nvmlSystemGet, nvmlDeviceGet
 *     Count = 2
 *     PowerUsage = 71234           every GPU
 *     gpu1.PowerUsage = !15        GPU 1: returns 15, NVML_ERROR_GPU_IS_LOST
 *     gpu1.all = !15               every call about GPU 1
 *     all = !9                     every call
 *     Init = @hang                 never returns; @crash ends the process; @slow 300 ... waits for 300 ms first
 *     fi.82 = u32 61               field 82; fi.138.all for all links, fi.161.link for each link
 *     gpm.2 = 87.5                 GPM metric 2; gpm = 1 makes GPM supported; gpm.mig.2 of a GPU instance
 *     mig.0 = UUID GI CI TOTAL USED FREE RESERVED NAME
 *     xid = 7 1 79                 event number 7: XID 79 of GPU 1
 *     compute = 4711:1048576 4712:2097152      (process id and bytes); process.4711 = /usr/bin/python3
 *     kernel = 580.1               with -DLIBRARY="580.2": every call returns 18, as after an upgrade in place
 *
 * What has no key is not supported. A function can be left out of the library with -Dname=other.
 */
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvml.h"

enum { GPUS = 16, MIGS = 8, VALUE = 512 };

struct nvmlDevice_st { int gpu, mig; };
struct nvmlEventSet_st { int registered[GPUS]; long seen; };
struct nvmlGpmSample_st { int gpu, mig; };

static struct nvmlDevice_st devices[GPUS][1 + MIGS]; /* [gpu][0] is the GPU, [gpu][1 + i] its MIG device i */
static int initialised;

/* The file. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *text;
static struct stat seen;

static void load(void) {
#ifdef LLM_PROBER_NVML_FILE // of a prober as it runs for real: its workers are given little of its environment
    const char *path = LLM_PROBER_NVML_FILE;
#else
    const char *path = getenv("LLM_PROBER_NVML_FILE");
#endif
    struct stat now;
    if (!path || stat(path, &now)) return;
    if (text && now.st_ino == seen.st_ino && now.st_size == seen.st_size &&
        now.st_mtim.tv_sec == seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec) return;
    FILE *f = fopen(path, "r");
    if (!f) return;
    free(text);
    text = calloc(1, now.st_size + 1);
    if (text && fread(text, 1, now.st_size, f) != (size_t)now.st_size) text[0] = 0;
    fclose(f);
    seen = now;
}

static int lookup_text(const char *key, char value[VALUE]) {
    size_t n = strlen(key);
    for (char *line = text; line && *line;) {
        char *end = strchrnul(line, '\n');
        if (!strncmp(line, key, n) && !strncmp(line + n, " = ", 3)) {
            snprintf(value, VALUE, "%.*s", (int)(end - line - n - 3), line + n + 3);
            return 1;
        }
        line = *end ? end + 1 : end;
    }
    return 0;
}

/* The value of a key, of one GPU or of all; 0 when there is none. */
static int lookup(int gpu, const char *key, char value[VALUE]) {
    char own[128];
    snprintf(own, sizeof own, "gpu%d.%s", gpu, key);
    pthread_mutex_lock(&lock);
    load();
    int found = (gpu >= 0 && lookup_text(own, value)) || lookup_text(key, value);
    pthread_mutex_unlock(&lock);
    return found;
}

/* What a value that begins with ! or @ says to do. Leaves the rest of it in value. */
static nvmlReturn_t obey(char value[VALUE]) {
    int ms, used;
    if (sscanf(value, "@slow %d %n", &ms, &used) == 1) {
        usleep(ms * 1000);
        memmove(value, value + used, strlen(value + used) + 1);
    }
    if (!strcmp(value, "@hang")) for (;;) pause();
    if (!strcmp(value, "@crash")) *(volatile int *)8 = 1;
    if (value[0] == '!') return (nvmlReturn_t)atoi(value + 1);
    return NVML_SUCCESS;
}

/* The beginning of every call. */
static nvmlReturn_t enter(int gpu, const char *key, char value[VALUE]) {
    nvmlReturn_t r;
    if (!initialised) return NVML_ERROR_UNINITIALIZED;
#ifdef LIBRARY
    if (lookup(-1, "kernel", value) && strcmp(value, LIBRARY)) return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
#endif
    if (lookup(gpu, "all", value) && (r = obey(value))) return r;
    if (!lookup(gpu, key, value)) return NVML_ERROR_NOT_SUPPORTED;
    return obey(value);
}

#define ENTER(gpu, key) \
    char value[VALUE]; \
    nvmlReturn_t r = enter(gpu, key, value); \
    if (r) return r

static void copy(char *to, unsigned int size, const char *from) { snprintf(to, size, "%s", from); }

/* The library and the system. */

nvmlReturn_t nvmlInit_v2(void) {
    char value[VALUE];
    nvmlReturn_t r;
    for (int g = 0; g < GPUS; g++)
        for (int m = 0; m <= MIGS; m++) devices[g][m] = (struct nvmlDevice_st){g, m - 1};
    if (lookup(-1, "Init", value) && (r = obey(value))) return r;
    initialised = 1;
#ifdef LIBRARY
    if (lookup(-1, "kernel", value) && strcmp(value, LIBRARY)) { initialised = 0; return NVML_ERROR_LIB_RM_VERSION_MISMATCH; }
#endif
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void) {
    char value[VALUE];
    if (lookup(-1, "Shutdown", value)) return obey(value);
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result) { (void)result; return "stand-in"; }

nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned int size) { ENTER(-1, "DriverVersion"); copy(out, size, value); return r; }
nvmlReturn_t nvmlSystemGetNVMLVersion(char *out, unsigned int size) { ENTER(-1, "NVMLVersion"); copy(out, size, value); return r; }
nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *out) { ENTER(-1, "CudaDriverVersion"); *out = atoi(value); return r; }

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *out, unsigned int size) {
    char key[32];
    snprintf(key, sizeof key, "process.%u", pid);
    char value[VALUE];
    nvmlReturn_t r = enter(-1, key, value);
    if (r == NVML_ERROR_NOT_SUPPORTED) return NVML_ERROR_NOT_FOUND;
    if (!r) copy(out, size, value);
    return r;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *out) { ENTER(-1, "Count"); *out = atoi(value); return r; }

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out) {
    char value[VALUE];
    nvmlReturn_t r = enter(index, "HandleByIndex", value);
    if (r && r != NVML_ERROR_NOT_SUPPORTED) return r;
    if (index >= GPUS) return NVML_ERROR_INVALID_ARGUMENT;
    out->handle = &devices[index][0];
    return NVML_SUCCESS;
}

/* Getters of one text, of one or two numbers. A MIG device has a name and an identity of its own. */

static nvmlReturn_t mig(nvmlDevice_t d, char value[VALUE]) {
    char key[32];
    snprintf(key, sizeof key, "mig.%d", d.handle->mig);
    nvmlReturn_t r = enter(d.handle->gpu, key, value);
    return r == NVML_ERROR_NOT_SUPPORTED ? NVML_ERROR_NOT_FOUND : r;
}

static nvmlReturn_t mig_word(nvmlDevice_t d, int word, char out[VALUE]) {
    char value[VALUE];
    nvmlReturn_t r = mig(d, value);
    if (r) return r;
    char *rest = value;
    for (int i = 0; i < word && rest; i++) { strsep(&rest, " "); }
    if (!rest) return NVML_ERROR_UNKNOWN;
    copy(out, VALUE, word == 7 ? rest : strsep(&rest, " "));
    return r;
}

#define TEXT(name, key, word) \
    nvmlReturn_t name(nvmlDevice_t d, char *out, unsigned int size) { \
        if (word >= 0 && d.handle->mig >= 0) { \
            char own[VALUE]; \
            nvmlReturn_t m = mig_word(d, word, own); \
            if (!m) copy(out, size, own); \
            return m; \
        } \
        ENTER(d.handle->gpu, key); \
        copy(out, size, value); \
        return r; \
    }
TEXT(nvmlDeviceGetUUID, "UUID", 0)
TEXT(nvmlDeviceGetName, "Name", 7)
TEXT(nvmlDeviceGetVbiosVersion, "VbiosVersion", -1)

#define NUMBER(name, type, key) \
    nvmlReturn_t name(nvmlDevice_t d, type *out) { ENTER(d.handle->gpu, key); *out = (type)strtoull(value, NULL, 0); return r; }
NUMBER(nvmlDeviceGetMinorNumber, unsigned int, "MinorNumber")
NUMBER(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t, "Architecture")
NUMBER(nvmlDeviceGetPowerUsage, unsigned int, "PowerUsage")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned int, "EnforcedPowerLimit")
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int, "PowerManagementDefaultLimit")
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, "TotalEnergyConsumption")
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, "CurrentClocksEventReasons")
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, "CurrentClocksThrottleReasons")
NUMBER(nvmlDeviceGetPerformanceState, nvmlPstates_t, "PerformanceState")
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned int, "CurrPcieLinkGeneration")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned int, "CurrPcieLinkWidth")
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned int, "MaxPcieLinkGeneration")
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned int, "MaxPcieLinkWidth")
NUMBER(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, "PersistenceMode")
NUMBER(nvmlDeviceGetComputeMode, nvmlComputeMode_t, "ComputeMode")
NUMBER(nvmlDeviceGetMaxMigDeviceCount, unsigned int, "MaxMigDeviceCount")
NUMBER(nvmlDeviceGetSupportedEventTypes, unsigned long long, "SupportedEventTypes")

#define PAIR(name, type, key) \
    nvmlReturn_t name(nvmlDevice_t d, type *first, type *second) { \
        unsigned long long a = 0, b = 0; \
        ENTER(d.handle->gpu, key); \
        sscanf(value, "%llu %llu", &a, &b); \
        *first = (type)a; \
        *second = (type)b; \
        return r; \
    }
PAIR(nvmlDeviceGetCudaComputeCapability, int, "CudaComputeCapability")
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, unsigned int, "PowerManagementLimitConstraints")
PAIR(nvmlDeviceGetEccMode, nvmlEnableState_t, "EccMode")
PAIR(nvmlDeviceGetMigMode, unsigned int, "MigMode")

#define BY_KIND(name, kind, type, key) \
    nvmlReturn_t name(nvmlDevice_t d, kind which, type *out) { \
        char own[64]; \
        snprintf(own, sizeof own, key ".%d", (int)which); \
        ENTER(d.handle->gpu, own); \
        *out = (type)strtoull(value, NULL, 0); \
        return r; \
    }
BY_KIND(nvmlDeviceGetClockInfo, nvmlClockType_t, unsigned int, "ClockInfo")
BY_KIND(nvmlDeviceGetMaxClockInfo, nvmlClockType_t, unsigned int, "MaxClockInfo")
BY_KIND(nvmlDeviceGetTemperature, nvmlTemperatureSensors_t, unsigned int, "Temperature")
BY_KIND(nvmlDeviceGetTemperatureThreshold, nvmlTemperatureThresholds_t, unsigned int, "TemperatureThreshold")

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_t *t) {
    ENTER(d.handle->gpu, "TemperatureV");
    t->temperature = atoi(value);
    return r;
}

nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t d, nvmlMarginTemperature_t *t) {
    ENTER(d.handle->gpu, "MarginTemperature");
    t->marginTemperature = atoi(value);
    return r;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u) {
    ENTER(d.handle->gpu, "UtilizationRates");
    sscanf(value, "%u %u", &u->gpu, &u->memory);
    return r;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *p) {
    memset(p, 0, sizeof *p);
    ENTER(d.handle->gpu, "PciInfo");
    sscanf(value, "%x:%x:%x", &p->domain, &p->bus, &p->device);
    return r;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *m) {
    if (m->version != nvmlMemory_v2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (d.handle->mig >= 0) {
        char value[VALUE];
        nvmlReturn_t r = mig(d, value);
        if (!r) sscanf(value, "%*s %*s %*s %llu %llu %llu %llu", &m->total, &m->used, &m->free, &m->reserved);
        return r;
    }
    ENTER(d.handle->gpu, "MemoryInfo_v2"); /* total used free reserved */
    sscanf(value, "%llu %llu %llu %llu", &m->total, &m->used, &m->free, &m->reserved);
    return r;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m) {
    ENTER(d.handle->gpu, "MemoryInfo"); /* total used free */
    sscanf(value, "%llu %llu %llu", &m->total, &m->used, &m->free);
    return r;
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t d, unsigned int *corrected, unsigned int *uncorrected, unsigned int *pending, unsigned int *failed) {
    ENTER(d.handle->gpu, "RemappedRows");
    sscanf(value, "%u %u %u %u", corrected, uncorrected, pending, failed);
    return r;
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t d, unsigned int link, nvmlEnableState_t *state) {
    ENTER(d.handle->gpu, "NvLinks"); /* one 0 or 1 a link */
    if (link >= strlen(value)) return NVML_ERROR_INVALID_ARGUMENT;
    *state = value[link] == '1';
    return r;
}

/* Fields. */

static nvmlReturn_t field(int gpu, nvmlFieldValue_t *f) {
    char key[48], type[8];
    if (f->scopeId == UINT_MAX) snprintf(key, sizeof key, "fi.%u.all", f->fieldId);
    else snprintf(key, sizeof key, "fi.%u", f->fieldId);
    char value[VALUE];
    nvmlReturn_t r = enter(gpu, key, value);
    if (r == NVML_ERROR_NOT_SUPPORTED) {
        snprintf(key, sizeof key, "fi.%u.link", f->fieldId);
        r = enter(gpu, key, value);
    }
    if (r) return r;
    int used = 0;
    if (sscanf(value, "%7s %n", type, &used) != 1) return NVML_ERROR_UNKNOWN;
    const char *types[] = {"f64", "u32", "ulong", "u64", "i64", "i32", "u16"};
    const char *number = value + used;
    memset(&f->value, 0xee, sizeof f->value);
    for (unsigned int i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i])) continue;
        f->valueType = (nvmlValueType_t)i;
        switch (i) {
        case 0: f->value.dVal = strtod(number, NULL); break;
        case 1: f->value.uiVal = strtoul(number, NULL, 0); break;
        case 2: f->value.ulVal = strtoul(number, NULL, 0); break;
        case 3: f->value.ullVal = strtoull(number, NULL, 0); break;
        case 4: f->value.sllVal = strtoll(number, NULL, 0); break;
        case 5: f->value.siVal = strtol(number, NULL, 0); break;
        case 6: f->value.usVal = strtoul(number, NULL, 0); break;
        }
        return NVML_SUCCESS;
    }
    return NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int count, nvmlFieldValue_t *fields) {
    char value[VALUE];
    nvmlReturn_t r = enter(d.handle->gpu, "FieldValues", value);
    if (r && r != NVML_ERROR_NOT_SUPPORTED) return r;
    for (int i = 0; i < count; i++) fields[i].nvmlReturn = field(d.handle->gpu, &fields[i]);
    return NVML_SUCCESS;
}

/* Processes. */

static nvmlReturn_t processes(nvmlDevice_t d, const char *key, unsigned int *count, nvmlProcessInfo_t *out) {
    ENTER(d.handle->gpu, key);
    unsigned int n = 0, room = *count;
    char *rest = value, *word;
    while ((word = strsep(&rest, " "))) {
        if (n < room) {
            sscanf(word, "%u:%llu", &out[n].pid, &out[n].usedGpuMemory);
            out[n].gpuInstanceId = out[n].computeInstanceId = UINT_MAX;
        }
        n++;
    }
    *count = n;
    return n > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_t *out) { return processes(d, "compute", count, out); }
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_t *out) { return processes(d, "graphics", count, out); }

/* MIG. */

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned int index, nvmlDevice_t *out) {
    char value[VALUE];
    if (index >= MIGS) return NVML_ERROR_INVALID_ARGUMENT;
    nvmlDevice_t m = {&devices[d.handle->gpu][1 + index]};
    nvmlReturn_t r = mig(m, value);
    if (!r) *out = m;
    return r;
}

static nvmlReturn_t mig_number(nvmlDevice_t d, int word, unsigned int *out) {
    char own[VALUE];
    if (d.handle->mig < 0) return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t r = mig_word(d, word, own);
    if (!r) *out = atoi(own);
    return r;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t d, unsigned int *id) { return mig_number(d, 1, id); }
nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t d, unsigned int *id) { return mig_number(d, 2, id); }

/* GPM. */

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *s) {
    ENTER(d.handle->gpu, "gpm");
    s->isSupportedDevice = atoi(value);
    return r;
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *s) {
    s->handle = calloc(1, sizeof *s->handle);
    return s->handle ? NVML_SUCCESS : NVML_ERROR_MEMORY;
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t s) { free(s.handle); return NVML_SUCCESS; }

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t s) {
    ENTER(d.handle->gpu, "gpm");
    *s.handle = (struct nvmlGpmSample_st){d.handle->gpu, 0};
    return r;
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t d, unsigned int instance, nvmlGpmSample_t s) {
    (void)instance;
    ENTER(d.handle->gpu, "gpm");
    *s.handle = (struct nvmlGpmSample_st){d.handle->gpu, 1};
    return r;
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get) {
    if (!get->sample1.handle || !get->sample2.handle) return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < get->numMetrics; i++) {
        char key[32], value[VALUE];
        snprintf(key, sizeof key, get->sample2.handle->mig ? "gpm.mig.%u" : "gpm.%u", get->metrics[i].metricId);
        get->metrics[i].nvmlReturn = enter(get->sample2.handle->gpu, key, value);
        if (!get->metrics[i].nvmlReturn) get->metrics[i].value = strtod(value, NULL);
    }
    return NVML_SUCCESS;
}

/* Events. */

static int next_xid(long *number, int *gpu, unsigned long long *code) {
    char value[VALUE];
    return lookup(-1, "xid", value) && sscanf(value, "%ld %d %llu", number, gpu, code) == 3;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    char value[VALUE];
    int gpu;
    unsigned long long code;
    if (lookup(-1, "EventSetCreate", value)) { nvmlReturn_t r = obey(value); if (r) return r; }
    set->handle = calloc(1, sizeof *set->handle);
    next_xid(&set->handle->seen, &gpu, &code); /* what happened before is not reported */
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) { free(set.handle); return NVML_SUCCESS; }

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t d, unsigned long long types, nvmlEventSet_t set) {
    char value[VALUE];
    nvmlReturn_t r = enter(d.handle->gpu, "RegisterEvents", value);
    if (r && r != NVML_ERROR_NOT_SUPPORTED) return r;
    if (types & nvmlEventTypeXidCriticalError) set.handle->registered[d.handle->gpu] = 1;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int timeout) {
    for (unsigned int waited = 0;; waited += 5) {
        char value[VALUE];
        long number;
        int gpu;
        unsigned long long code;
        if (next_xid(&number, &gpu, &code) && number > set.handle->seen && set.handle->registered[gpu]) {
            set.handle->seen = number;
            memset(data, 0, sizeof *data);
            data->device.handle = &devices[gpu][0];
            data->eventType = nvmlEventTypeXidCriticalError;
            data->eventData = code;
            data->gpuInstanceId = data->computeInstanceId = UINT_MAX;
            return NVML_SUCCESS;
        }
        if (lookup(-1, "EventSetWait", value)) { nvmlReturn_t r = obey(value); if (r) return r; }
        for (int g = 0; g < GPUS; g++) { /* as drivers do: one lost GPU and every wait returns at once */
            if (set.handle->registered[g] && lookup(g, "all", value) && value[0] == '!') return obey(value);
        }
        if (waited >= timeout) return NVML_ERROR_TIMEOUT;
        usleep(5000);
    }
}
