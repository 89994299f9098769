/*
 * A Llama-family decoder on the CPU: one call computes one pass over all layers.
 *
 * Python reads the files, lays out the memory for keys and values, and samples; what is here is the
 * arithmetic between the embeddings of some ids and the scores after the last of them. "Rows" are
 * positions that are computed together, of one sequence or of several: all of a prompt or a piece of
 * it, one of a reply. What a row gives does not depend on the rows beside it.
 */

#include <time.h>

#include "attention.h"

/* ------------------------------------------------------------------ products, shared out */

/* How many panels a thread takes at once. Weights are read fastest in one row: so each thread gets
 * three pieces, and can still give one to another if it lost its core. */
static int panels_at_once(int panels) {
    enum { PIECES = 3 };
    int each = panels / (PIECES * crew.threads);
    return each < 1 ? 1 : each;
}

/* Multiply and store, as (row, output), or add to what is there. */
static void product(const Matrix *matrix, const Narrowed *from, int rows, float *to, int add) {
    float out[(MOST_ROWS + PANEL) * PANEL];
    int panels = matrix->blocks / (PANEL / SIDE), each = panels_at_once(panels);
    begin_panels(from, rows);
    SHARED(piece, (panels + each - 1) / each)
    for (int panel = piece * each; panel < (piece + 1) * each && panel < panels; panel++) {
        int left = matrix->outputs - panel * PANEL, sides = left < PANEL ? left : PANEL;
        multiply_panel(matrix, panel, from, rows, out);
        for (int row = 0; row < rows; row++) {
            float *place = to + (size_t)row * matrix->outputs + panel * PANEL;
            const float *sums = out + row * PANEL;
            int side = 0;
            for (; side + LANES <= sides; side += LANES) {
                vec8 sum = load8(sums + side);
                store8(place + side, add ? sum + load8(place + side) : sum);
            }
            for (; side < sides; side++) place[side] = sums[side] + (add ? place[side] : 0);
        }
    }
    end_panels(from, rows);
    meet();
}

/* Multiply by gate and up and join them: silu(gate) * up, as (row, intermediate). The blocks of gate
 * and up take turns, so a panel has what belongs together, twice. */
static void gated_product(Model *model, const Matrix *matrix, int rows) {
    float out[(MOST_ROWS + PANEL) * PANEL];
    int width = model->sizes.intermediate, panels = matrix->blocks / (PANEL / SIDE);
    int each = panels_at_once(panels);
    begin_panels(&model->narrow, rows);
    SHARED(piece, (panels + each - 1) / each)
    for (int panel = piece * each; panel < (piece + 1) * each && panel < panels; panel++) {
        multiply_panel(matrix, panel, &model->narrow, rows, out);
        for (int row = 0; row < rows; row++)
            for (int pair = 0; pair < 2 && (2 * panel + pair) * SIDE < width; pair++) {
                vec8 number = load8(out + row * PANEL + pair * PAIR);
                vec8 up = load8(out + row * PANEL + pair * PAIR + SIDE);
                vec8 opened = number / (all8(1) + exponential8(-number));
                store8(model->wide + (size_t)row * width + (2 * panel + pair) * SIDE,
                       opened * up);
            }
    }
    end_panels(&model->narrow, rows);
    meet();
}

static void normalise_rows(Model *model, const float *weight, int rows) {
    int size = model->sizes.hidden;
    SHARED(row, rows) {
        float normal[size];
        normalise(model->hidden + (size_t)row * size, weight, size, model->sizes.epsilon, normal);
        narrow(normal, &model->narrow, row);
    }
    meet();
}

static void narrow_rows(const float *numbers, Narrowed *to, int rows) {
    SHARED(row, rows) narrow(numbers + (size_t)row * to->inputs, to, row);
    meet();
}

/* ------------------------------------------------------------------ a pass */

/* Go on with the rows whose scores are wanted, which are few: all of them by integers. */
static void keep_scored_rows(Model *model) {
    size_t width = model->sizes.hidden;
    for (int each = 0; each < model->pass.scored; each++)
        memmove(model->hidden + each * width, model->hidden + model->pass.last[each].first * width,
                width * sizeof(float));
    model->narrow.tiled = model->broad.tiled = MOST_ROWS;
}

static void compute_layer(Model *model, int number, int thread) {
    const Sizes *sizes = &model->sizes;
    const Layer *layer = model->layers + number;
    const Pass *pass = &model->pass;
    int rows = pass->rows, is_last = number == sizes->layers - 1;
    normalise_rows(model, layer->input_norm, rows);
    product(&layer->qkv, &model->narrow, rows, model->qkv, 0);
    keep_heads(model, number);
    if (is_last && thread == 0) keep_scored_rows(model);
    meet();
    if (is_last) rows = pass->scored;
    if (is_last) attend_blocks(model, number, pass->last, rows, thread);
    else attend_blocks(model, number, pass->block, pass->blocks, thread);
    meet();
    Narrowed seen = model->broad, wide = model->broad;
    seen.inputs = sizes->heads * sizes->head_size;
    wide.inputs = sizes->intermediate;
    narrow_rows(model->seen, &seen, rows);
    product(&layer->output, &seen, rows, model->hidden, 1);
    normalise_rows(model, layer->mlp_norm, rows);
    gated_product(model, &layer->gate_up, rows);
    narrow_rows(model->wide, &wide, rows);
    product(&layer->down, &wide, rows, model->hidden, 1);
}

static void compute_pass(void *task, int thread) {
    Model *model = task;
    int hidden = model->sizes.hidden;
    SHARED(row, model->pass.rows)
        for (int i = 0; i < hidden; i += LANES)
            store8(model->hidden + (size_t)row * hidden + i,
                   read8(&model->embedding, 0, (size_t)model->pass.ids[row] * hidden + i));
    meet();
    for (int number = 0; number < model->sizes.layers; number++)
        compute_layer(model, number, thread);
    normalise_rows(model, model->norm, model->pass.scored);
    product(&model->head, &model->narrow, model->pass.scored, model->pass.scores, 0);
}

/* ------------------------------------------------------------------ what Python calls */

static int lay_out(Narrowed *narrowed, int inputs, Pool *pool) {
    size_t numbers = (size_t)MOST_ROWS * inputs;
    narrowed->inputs = inputs;
    narrowed->bytes = from_pool(pool, numbers);
    narrowed->scale = from_pool(pool, numbers / GROUP * sizeof(float));
    narrowed->sum = from_pool(pool, numbers / GROUP * sizeof(float));
    if (!has_tiles()) return narrowed->bytes && narrowed->scale && narrowed->sum;
    /* The tiles read whole: up to the 32nd row of the last ones. */
    narrowed->bfloats = from_pool(pool, (numbers + PANEL * inputs) * sizeof(uint16_t));
    return narrowed->bytes && narrowed->scale && narrowed->sum && narrowed->bfloats;
}

void voicebench_close(Model *model);

/* Return a model without weights, or NULL if there is no memory. */
Model *voicebench_open(const int32_t *sizes, float epsilon, const float *cosine, const float *sine,
                       int32_t threads) {
    Model *model = calloc(1, sizeof *model);
    if (!model) return NULL;
    Sizes *own = &model->sizes;
    *own = (Sizes){ sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], epsilon };
    model->cosine = cosine;
    model->sine = sine;
    model->threads = crew_of(threads);
    model->pace.alone = 2;
    pthread_mutex_init(&model->busy, NULL);
    int query = own->heads * own->head_size;
    size_t row = MOST_ROWS * sizeof(float);
    Pool *pool = &model->pool;
    model->layers = calloc(own->layers, sizeof *model->layers);
    model->hidden = from_pool(pool, row * own->hidden);
    model->qkv = from_pool(pool, row * qkv_width(own));
    model->seen = from_pool(pool, row * query);
    model->wide = from_pool(pool, row * own->intermediate);
    model->attention =
        from_pool(pool, sizeof(float) * attention_room(own) * model->threads);
    int broadest = query > own->intermediate ? query : own->intermediate;
    if (own->hidden > broadest) broadest = own->hidden;
    if (!model->layers || !model->hidden || !model->qkv || !model->seen || !model->wide ||
        !model->attention || !lay_out(&model->narrow, own->hidden, pool) ||
        !lay_out(&model->broad, broadest, pool)) {
        voicebench_close(model);
        return NULL;
    }
    return model;
}

enum { QKV, OUTPUT, GATE_UP, DOWN, HEAD };

static Matrix *matrix_of(Model *model, int layer, int which) {
    if (which == HEAD) return &model->head;
    Layer *own = model->layers + layer;
    return which == QKV ? &own->qkv
         : which == OUTPUT ? &own->output
         : which == GATE_UP ? &own->gate_up : &own->down;
}

/* Store a matrix that comes in parts, each (rows, inputs), and its bias or NULL; return its kind,
 * or 0 if there is no memory. */
int32_t voicebench_store_matrix(Model *model, int32_t layer, int32_t which, int32_t parts,
                                const void *const *sources, const int32_t *rows, int32_t stored,
                                int32_t inputs, const float *bias) {
    Matrix *matrix = matrix_of(model, layer, which);
    Source source = { .stored = stored };
    int in_turns = which == GATE_UP;
    for (int part = 0; part < parts && part < MOST_PARTS; part++) {
        source.parts[part] = sources[part];
        source.rows[part] = rows[part];
        matrix->outputs += rows[part];
    }
    matrix->inputs = inputs;
    matrix->blocks = (matrix->outputs + PANEL - 1) / PANEL * (PANEL / SIDE);
    int kind = pack(matrix, &source, in_turns, model->threads, &model->pool);
    if (!kind || !bias) return kind;
    size_t bytes = (size_t)matrix->blocks * SIDE * sizeof(float);
    matrix->bias = from_pool(&model->pool, bytes);
    if (!matrix->bias) return 0;
    memset(matrix->bias, 0, bytes);
    for (int output = 0; output < matrix->outputs; output++) {
        int row = 0, part = find_row(&source, output, in_turns, &row);
        for (int above = 0; above < part; above++) row += rows[above];
        matrix->bias[output] = bias[row];
    }
    return kind;
}

enum { INPUT_NORM, QUERY_NORM, KEY_NORM, MLP_NORM, LAST_NORM };

/* Store the weights of a norm; return 0 if there is no memory. */
int32_t voicebench_store_norm(Model *model, int32_t layer, int32_t which, const float *weight,
                              int32_t size) {
    Layer *own = model->layers + layer;
    float **place = which == INPUT_NORM ? &own->input_norm
                  : which == QUERY_NORM ? &own->query_norm
                  : which == KEY_NORM ? &own->key_norm
                  : which == MLP_NORM ? &own->mlp_norm : &model->norm;
    *place = from_pool(&model->pool, size * sizeof(float));
    if (!*place) return 0;
    memcpy(*place, weight, size * sizeof(float));
    return 1;
}

/* Set the embeddings (id, hidden), stored as one of STORED_…; they stay the caller's. */
void voicebench_set_embedding(Model *model, const void *numbers, int32_t stored) {
    model->embedding = (Source){ .parts = { numbers }, .stored = stored };
}

void voicebench_set_window(Model *model, int32_t layer, int32_t window) {
    model->layers[layer].window = window;
}

/* Return how many bytes of weights a token reads. */
int64_t voicebench_bytes(const Model *model) {
    size_t bytes = model->head.bytes;
    for (const Layer *layer = model->layers; layer < model->layers + model->sizes.layers; layer++)
        bytes += layer->qkv.bytes + layer->output.bytes + layer->gate_up.bytes + layer->down.bytes;
    return (int64_t)bytes;
}

int32_t voicebench_most_rows(void) { return MOST_ROWS; }

int32_t voicebench_is_vectorised(void) {
#if defined(HAVE_AVX2)
    return 1;
#else
    return 0;
#endif
}

static double nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Say with how many threads a pass is computed. The first tokens of a model are computed alone, to
 * know how long that takes; prompts always have all threads. */
static int threads_for_pass(Model *model, int rows) {
    if (rows > 1 || model->pace.alone == 0) return model->threads;
    model->pace.alone--;
    return 1;
}

static void note_pace(Pace *pace, int threads, double took) {
    enum { PATIENT_FOR = 2, PASSES_ALONE = 16 };
    if (threads == 1) {
        if (pace->quickest == 0 || took < pace->quickest) pace->quickest = took;
        return;
    }
    if (took < 1.2 * pace->quickest) {
        pace->slow = 0;
    } else if (++pace->slow >= PATIENT_FOR) {
        pace->slow--; /* the first slow one after these is enough */
        pace->alone = PASSES_ALONE;
    }
}

/* Lay out the rows of the segments of one kind of arithmetic, with their ids. */
static void place_rows(Pass *pass, const int32_t *ids, Segment *segments, int count,
                       int by_tiles) {
    for (Segment *one = segments; one < segments + count; ids += one->rows, one++) {
        if (goes_by_tiles(one->prompt) != by_tiles) continue;
        for (int row = 0; row < one->rows; row += BLOCK_ROWS) {
            int rows = one->rows - row < BLOCK_ROWS ? one->rows - row : BLOCK_ROWS;
            pass->block[pass->blocks++] = (Block){ pass->rows + row, rows, pass->rows + row };
        }
        for (int row = 0; row < one->rows; row++, pass->rows++) {
            pass->ids[pass->rows] = ids[row];
            pass->places[pass->rows] = (Place){ one, one->start + row };
        }
        if (!one->wanted) continue;
        pass->last[pass->scored] = (Block){ pass->rows - 1, 1, pass->scored };
        one->scored = pass->scored++;
    }
}

/* Compute the rows of some segments (at most MOST_ROWS in all), whose ids stand one behind the
 * other; add their keys and values to their caches; write the wanted scores as (scored, vocabulary).
 * Capacities are multiples of STRIP. Calls from several threads wait for each other. */
void voicebench_forward(Model *model, const int32_t *ids, Segment *segments, int32_t count,
                        float *scores) {
    pthread_mutex_lock(&model->busy);
    Pass *pass = &model->pass;
    pass->scores = scores;
    pass->rows = pass->scored = pass->blocks = 0;
    place_rows(pass, ids, segments, count, 0);
    model->narrow.tiled = model->broad.tiled = pass->rows;
    place_rows(pass, ids, segments, count, 1);
    int rows = pass->rows;
    model->narrow.rows = model->broad.rows = rows;
    double began = nanoseconds();
    int threads = threads_for_pass(model, rows);
    crew_works(threads, compute_pass, model);
    if (rows == 1) note_pace(&model->pace, threads, nanoseconds() - began);
    pthread_mutex_unlock(&model->busy);
}

void voicebench_close(Model *model) {
    if (!model) return;
    release_pool(&model->pool);
    free(model->layers);
    pthread_mutex_destroy(&model->busy);
    free(model);
}
