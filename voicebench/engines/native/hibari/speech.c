/*
 * A hibari voice on the CPU: one call reads a text, one computes its prosody, one decodes a window
 * of frames.
 *
 * Python turns text into symbols and numbers into samples, and decides over the windows; here is
 * the arithmetic of the network (voicebench/engines/tts/hibari holds the same in torch, and is what this
 * is checked against).
 */

#include "arena.h"
#include "blocks.h"
#include "waveform.h"

enum {
    TEXT_BLOCKS = 2, TEXT_KERNEL = 5,
    PROSODY_BLOCKS = 6, PROSODY_OUTPUTS = 4,
    DECODER_BLOCKS = 8, KERNEL = 7,
    MOST_FRAMES = 64 /* that a walk takes at once: more would not stay in a core's cache */
};

typedef struct {
    int channels, layers;
    float *embedding; /* (symbol, channel) */
    Block blocks[TEXT_BLOCKS];
    Layer layer; /* applied `layers` times */
    Norm norm;
} Text;

typedef struct {
    Text text, prosody_text;
    Weights duration_first;
    float *duration_last; /* (channel,), and its bias */
    Weights prosody_in, prosody_out;
    Block prosody[PROSODY_BLOCKS];
    Weights decoder_in, head;
    Block decoder[DECODER_BLOCKS];
    Norm decoder_norm;
    int frame_channels, threads;
} Speech;

static Stream no_stream; /* of a walk that sees everything at once */

/* ------------------------------------------------------------------ reading the weights */

static void read_text(Reader *reader, Text *text, int symbols, int channels, int layers) {
    text->channels = channels;
    text->layers = layers;
    text->embedding = read_floats(reader, (size_t)symbols * channels);
    for (int i = 0; i < TEXT_BLOCKS; i++)
        read_block(reader, text->blocks + i, FLOATS, channels, 2 * channels, TEXT_KERNEL, 1);
    read_layer(reader, &text->layer, channels, 2 * channels);
    read_norm(reader, &text->norm, channels);
}

static void release_text(Text *text) {
    free(text->embedding);
    for (int i = 0; i < TEXT_BLOCKS; i++) release_block(text->blocks + i);
    release_layer(&text->layer);
    release_norm(&text->norm);
}

void voicebench_hibari_close(Speech *speech) {
    if (!speech) return;
    release_text(&speech->text);
    release_text(&speech->prosody_text);
    release_weights(&speech->duration_first);
    free(speech->duration_last);
    release_weights(&speech->prosody_in);
    release_weights(&speech->prosody_out);
    for (int i = 0; i < PROSODY_BLOCKS; i++) release_block(speech->prosody + i);
    release_weights(&speech->decoder_in);
    release_weights(&speech->head);
    for (int i = 0; i < DECODER_BLOCKS; i++) release_block(speech->decoder + i);
    release_norm(&speech->decoder_norm);
    free(speech);
}

/* Return a voice, or NULL if there is no memory or the arrays are not as many as the network has.
 * `sizes`: symbols, channels of text, prosody and decoder, layers of text and prosody, outputs,
 * and the dilations of the prosody. `kind` is what the decoder multiplies where it can: FLOATS or
 * BFLOATS. `threads` is the most that a call may ask for. */
Speech *voicebench_hibari_open(const int32_t *sizes, const float *const *arrays, int32_t count,
                               int32_t kind, int32_t threads) {
    Speech *speech = calloc(1, sizeof *speech);
    if (!speech) return NULL;
    Reader reader = { arrays, count, !arena() };
    int symbols = sizes[0], text = sizes[1], prosody = sizes[2], decoder = sizes[3];
    speech->threads = crew_of(threads);
    speech->frame_channels = text + 2;
    read_text(&reader, &speech->text, symbols, text, sizes[4]);
    read_text(&reader, &speech->prosody_text, symbols, prosody, sizes[5]);
    read_weights(&reader, &speech->duration_first, FLOATS, 3, 1, prosody, prosody);
    speech->duration_last = read_floats(&reader, prosody + 1);
    read_weights(&reader, &speech->prosody_in, FLOATS, 1, 1, prosody, prosody);
    for (int i = 0; i < PROSODY_BLOCKS; i++)
        read_block(&reader, speech->prosody + i, FLOATS, prosody, 2 * prosody, KERNEL,
                   sizes[7 + i]);
    read_weights(&reader, &speech->prosody_out, FLOATS, 1, 1, prosody, PROSODY_OUTPUTS);
    read_weights(&reader, &speech->decoder_in, FLOATS, KERNEL, 1, text + 2, decoder);
    for (int i = 0; i < DECODER_BLOCKS; i++)
        read_block(&reader, speech->decoder + i, kind, decoder, 3 * decoder, KERNEL, 1);
    read_norm(&reader, &speech->decoder_norm, decoder);
    read_weights(&reader, &speech->head, kind, 1, 1, decoder, sizes[6]);
    if (reader.failed || reader.left) {
        voicebench_hibari_close(speech);
        return NULL;
    }
    return speech;
}

/* ------------------------------------------------------------------ a text */

/* Write the features (symbol, channel) of the symbols. */
static void encode_text(Walk *walk, const Text *text, const int64_t *ids, int count, float *out) {
    int channels = text->channels, reach = reach_of_block(text->blocks);
    Place place = open_place(walk, take(walk, count + 2 * reach, channels), channels, reach, count);
    SHARED_ROWS(row, count)
        memcpy(place.put + (size_t)row * channels, text->embedding + ids[row] * channels,
               channels * sizeof *out);
    meet();
    float *rows = NULL;
    run_blocks(walk, text->blocks, TEXT_BLOCKS, place, &rows);
    for (int i = 0; i < text->layers; i++) run_layer(walk, &text->layer, rows, count);
    normalised(rows, count, channels, &text->norm, out);
}

typedef struct {
    const Speech *speech;
    const int64_t *ids;
    int count;
    float *text, *prosody, *log_durations;
} Reading;

static void encode(void *task, int thread) {
    const Reading reading = *(Reading *)task;
    const Speech *speech = reading.speech;
    int channels = speech->prosody_text.channels, count = reading.count;
    Walk walk = {
        .stream = &no_stream, .memory = arena(), .thread = thread, .first = 1, .last = 1,
    };
    encode_text(&walk, &speech->text, reading.ids, count, reading.text);
    encode_text(&walk, &speech->prosody_text, reading.ids, count, reading.prosody);
    Place place = open_place(&walk, take(&walk, count + 2, channels), channels, 1, count);
    copy_rows(reading.prosody, channels, count, channels, place.put);
    float *hidden = take(&walk, count, channels);
    product(&speech->duration_first, place.rows, channels, count,
            &(Goal){ hidden, channels, 0, 0, 0 });
    bend_rows(hidden, count, channels);
    SHARED_ROWS(row, count)
        reading.log_durations[row] = speech->duration_last[channels] +
            dot(hidden + (size_t)row * channels, speech->duration_last, channels);
    meet();
}

static int at_most(const Speech *speech, int threads) {
    return threads < speech->threads ? threads : speech->threads;
}

static size_t bytes_of_text(const Speech *speech, int symbols) {
    size_t channels = speech->text.channels + speech->prosody_text.channels;
    return ((size_t)symbols + 16) * (16 * channels + MOST_THREADS) * sizeof(float);
}

/* Read a text: write the features (symbol, channel) for decoder and prosody and the log durations
 * (symbol,). Return 0 if the text is too long. */
int32_t voicebench_hibari_read(const Speech *speech, int32_t threads, const int64_t *ids,
                               int32_t count, float *text, float *prosody, float *log_durations) {
    if (bytes_of_text(speech, count) > ARENA - BEHIND) return 0;
    Reading reading = { speech, ids, count, text, prosody, log_durations };
    crew_works(at_most(speech, threads), encode, &reading);
    return 1;
}

/* ------------------------------------------------------------------ its prosody */

typedef struct {
    const Speech *speech;
    const float *rows;
    int count;
    float *curves;
} Prosody;

static void sing(void *task, int thread) {
    const Prosody prosody = *(Prosody *)task;
    const Speech *speech = prosody.speech;
    int channels = speech->prosody_text.channels, reach = reach_of_block(speech->prosody);
    Walk walk = {
        .stream = &no_stream, .memory = arena(), .thread = thread, .first = 1, .last = 1,
    };
    float *memory = take(&walk, prosody.count + 2 * reach, channels), *rows = NULL;
    Place place = open_place(&walk, memory, channels, reach, prosody.count);
    product(&speech->prosody_in, prosody.rows, channels, prosody.count,
            &(Goal){ place.put, channels, 0, 0, 0 });
    run_blocks(&walk, speech->prosody, PROSODY_BLOCKS, place, &rows);
    product(&speech->prosody_out, rows, channels, prosody.count,
            &(Goal){ prosody.curves, PROSODY_OUTPUTS, 0, 0, 0 });
}

/* Write the pitch and energy (frame, 4) of all frames (frame, channel) of a text. Return 0 if they
 * are too many. */
int32_t voicebench_hibari_prosody(const Speech *speech, int32_t threads, const float *rows,
                                  int32_t count, float *curves) {
    size_t floats = ((size_t)count + 256) * speech->prosody_text.channels * 16;
    if (floats * sizeof(float) > ARENA - BEHIND) return 0;
    Prosody prosody = { speech, rows, count, curves };
    crew_works(at_most(speech, threads), sing, &prosody);
    return 1;
}

/* ------------------------------------------------------------------ its sound */

typedef struct {
    const Speech *speech;
    Stream *stream;
    const float *frames;
    int count, last;
    float *parts;
    int given;
} Decoding;

/* Decode the frames that come next, in as many walks as they need. What the task says is read
 * before the last meeting; after it the caller may be gone. */
static void decode(void *task, int thread) {
    const Decoding decoding = *(Decoding *)task;
    const Speech *speech = decoding.speech;
    Stream *stream = decoding.stream;
    int inputs = speech->frame_channels, channels = speech->decoder[0].channels;
    int outputs = speech->head.outputs, edge = KERNEL / 2;
    int given = 0, begun = stream->begun, left = decoding.count;
    do {
        int count = left < MOST_FRAMES ? left : MOST_FRAMES;
        const float *frames = decoding.frames + (size_t)(decoding.count - left) * inputs;
        left -= count;
        Walk walk = {
            .stream = stream, .memory = arena(), .thread = thread,
            .first = !begun, .last = decoding.last && left == 0,
        };
        Place seen = open_place(&walk, take(&walk, count + 4 * edge, inputs), inputs, edge, count);
        copy_rows(frames, inputs, count, inputs, seen.put);
        close_place(&walk, &seen, seen.count - 2 * edge);
        count = seen.count > 2 * edge ? seen.count - 2 * edge : 0;
        float *memory = take(&walk, count + 4 * edge, channels), *rows = NULL;
        Place place = open_place(&walk, memory, channels, edge, count);
        product(&speech->decoder_in, seen.rows, inputs, count,
                &(Goal){ place.put, channels, 0, 0, 0 });
        count = run_blocks(&walk, speech->decoder, DECODER_BLOCKS, place, &rows);
        normalised(rows, count, channels, &speech->decoder_norm, rows);
        product(&speech->head, bent(&walk, &speech->head, rows, count, channels, 1), channels, count,
                &(Goal){ decoding.parts + (size_t)given * outputs, outputs, 0, 0, 0 });
        given += count;
        if (thread == 0) {
            stream->now = !stream->now;
            stream->begun = 1;
            ((Decoding *)task)->given = given;
        }
        begun = 1;
        meet();
    } while (left > 0);
}

/* Decode the frames (frame, channel) that come next in a stream; with `last` the utterance ends
 * with them. Write the parts (frame, output) that are determined now; return how many frames. */
int32_t voicebench_hibari_decode(const Speech *speech, int32_t threads, Stream *stream,
                                 const float *frames, int32_t count, int32_t last, float *parts) {
    Decoding decoding = { speech, stream, frames, count, last, parts, 0 };
    crew_works(at_most(speech, threads), decode, &decoding);
    return decoding.given;
}
