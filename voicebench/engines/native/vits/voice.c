/*
 * A VITS voice on the CPU: one call encodes a text, one call speaks a window of frames.
 *
 * Python reads the files, turns text into symbols, draws the noise and decides over the windows;
 * what is here is the arithmetic of the network (voicebench/engines/tts/vits holds the same in torch, and
 * is what this is checked against). A speaker, where a voice has several, is part of the weights
 * that come in: it only adds to biases.
 */

#include "arena.h"
#include "decoder.h"
#include "durations.h"
#include "flow.h"

typedef struct {
    Text text;
    Durations durations;
    Flow flow;
    Decoder decoder;
    int threads;
    int most_frames; /* that a walk takes at once */
} Voice;

/* ------------------------------------------------------------------ memory */

static size_t bytes_of_text(const Voice *voice, int symbols) {
    const Text *text = &voice->text;
    size_t floats = 8 * (size_t)text->channels + 2 * text->feed_channels + text->outputs;
    floats += 6 * (size_t)voice->durations.channels + 3 * voice->durations.bins + voice->threads;
    return ((size_t)symbols + 2 * text->kernel) * floats * sizeof(float);
}

static size_t bytes_of_frames(const Voice *voice, int frames) {
    const Flow *flow = &voice->flow;
    const Decoder *decoder = &voice->decoder;
    size_t rows = (size_t)frames + 4 * flow->lag + 4 * decoder->first_kernel;
    size_t floats = rows * (4 * flow->channels + 16 * flow->hidden + 2 * decoder->channels);
    for (int i = 0; i < decoder->stages; i++) {
        const Stage *stage = decoder->stage + i;
        rows = (rows + 2 * stage->overlap) * stage->rate;
        for (int step = 0; step < decoder->steps; step++) rows += 4 * stage->lags[step];
        floats += rows * stage->channels * (6 + 6 * decoder->steps);
    }
    return floats * sizeof(float);
}

/* ------------------------------------------------------------------ what Python calls */

void voicebench_voice_close(Voice *voice) {
    if (!voice) return;
    release_text(&voice->text);
    release_durations(&voice->durations);
    release_flow(&voice->flow);
    release_decoder(&voice->decoder);
    free(voice);
}

/* Read the sizes of the network; return whether there is room for them. */
static int read_sizes(Voice *voice, const int32_t *sizes, const float *constants) {
    Text *text = &voice->text;
    text->symbols = *sizes++;
    text->channels = *sizes++;
    text->feed_channels = *sizes++;
    text->layers = *sizes++;
    text->heads = *sizes++;
    text->kernel = *sizes++;
    text->reach = *sizes++;
    Durations *durations = &voice->durations;
    durations->channels = *sizes++; /* 0: they are predicted elsewhere */
    durations->kernel = *sizes++;
    durations->layers = *sizes++;
    durations->flows = *sizes++;
    durations->bins = *sizes++;
    durations->inputs = text->channels;
    Flow *flow = &voice->flow;
    flow->channels = *sizes++;
    flow->couplings = *sizes++;
    flow->hidden = *sizes++;
    flow->layers = *sizes++;
    flow->kernel = *sizes++;
    flow->dilation_rate = *sizes++;
    text->outputs = 2 * flow->channels;
    Decoder *decoder = &voice->decoder;
    decoder->inputs = flow->channels;
    decoder->channels = *sizes++;
    decoder->first_kernel = *sizes++;
    decoder->last_kernel = *sizes++;
    decoder->block_kind = *sizes++;
    decoder->stages = *sizes++;
    decoder->blocks = *sizes++;
    decoder->steps = *sizes++;
    if (decoder->stages > MOST_STAGES || decoder->blocks > MOST_BLOCKS ||
        decoder->steps > MOST_STEPS || durations->bins > MOST_BINS)
        return 0;
    for (int i = 0; i < decoder->stages; i++) {
        decoder->stage[i].rate = *sizes++;
        decoder->stage[i].kernel = *sizes++;
    }
    for (int b = 0; b < decoder->blocks; b++) {
        int kernel = *sizes++;
        for (int i = 0; i < decoder->stages; i++) decoder->stage[i].blocks[b].kernel = kernel;
        for (int step = 0; step < decoder->steps; step++, sizes++)
            for (int i = 0; i < decoder->stages; i++)
                decoder->stage[i].blocks[b].dilated[step].dilation = *sizes;
    }
    text->epsilon = durations->epsilon = constants[0];
    durations->bound = constants[1];
    decoder->slope = constants[2];
    return 1;
}

/* Return a voice, or NULL if there is no memory or the sizes are beyond all measure. `kind` is what
 * the decoder multiplies where it can: FLOATS or BFLOATS. */
Voice *voicebench_voice_open(const int32_t *sizes, const float *constants,
                             const float *const *arrays, int32_t count, int32_t kind,
                             int32_t threads) {
    Voice *voice = calloc(1, sizeof *voice);
    if (!voice) return NULL;
    Reader reader = { arrays, count, 0 };
    voice->threads = crew_of(threads);
    if (!arena() || !read_sizes(voice, sizes, constants)) reader.failed = 1;
    if (!reader.failed) read_text(&reader, &voice->text);
    if (!reader.failed && voice->durations.channels) read_durations(&reader, &voice->durations);
    if (!reader.failed) read_flow(&reader, &voice->flow);
    if (!reader.failed) read_decoder(&reader, &voice->decoder, kind);
    voice->most_frames = 64;
    while (voice->most_frames && bytes_of_frames(voice, voice->most_frames) > ARENA - BEHIND)
        voice->most_frames /= 2;
    if (reader.failed || reader.left || !voice->most_frames) {
        voicebench_voice_close(voice);
        return NULL;
    }
    return voice;
}

int32_t voicebench_voice_multiplies_bfloats(void) { return has_tiles(); }

typedef struct {
    const Voice *voice;
    const int64_t *ids;
    const float *noise;
    int count;
    float *hidden, *prior, *log_durations;
} Encoding;

/* What the task says is read before the text is encoded: where that is all, the caller may be gone
 * after its last meeting. */
static void encode(void *task, int thread) {
    const Encoding encoding = *(Encoding *)task;
    const Voice *voice = encoding.voice;
    Walk walk = { .memory = arena(), .thread = thread };
    encode_text(&walk, &voice->text, encoding.ids, encoding.count, encoding.hidden, encoding.prior);
    if (encoding.log_durations)
        predict_durations(&walk, &voice->durations, encoding.hidden, encoding.count,
                          encoding.noise, encoding.log_durations);
}

/* Encode symbols: write hidden (symbol, channel), the prior (symbol, mean and scale) and, with
 * log_durations not NULL, those, for a noise (symbol, 2). Return 0 if the text is too long. */
int32_t voicebench_voice_encode(const Voice *voice, const int64_t *ids, int32_t count,
                                const float *noise, float *hidden, float *prior,
                                float *log_durations) {
    if (bytes_of_text(voice, count) > ARENA - BEHIND) return 0;
    Encoding encoding = { voice, ids, noise, count, hidden, prior, log_durations };
    crew_works(voice->threads, encode, &encoding);
    return 1;
}

Stream *voicebench_voice_begin(void) { return calloc(1, sizeof(Stream)); }

void voicebench_voice_end(Stream *stream) {
    if (!stream) return;
    for (int side = 0; side < 2; side++)
        for (int place = 0; place < MOST_PLACES; place++) free(stream->sides[side][place].rows);
    free(stream);
}

typedef struct {
    const Voice *voice;
    Stream *stream;
    const float *frames;
    int count, last;
    float *samples;
    int given;
} Speaking;

/* Speak a window in parts: more rows at once would not stay in a core's cache. What the task says
 * is read before the last meeting; after it the caller may be gone. */
static void speak(void *task, int thread) {
    const Speaking speaking = *(Speaking *)task;
    const Voice *voice = speaking.voice;
    Stream *stream = speaking.stream;
    int given = 0, channels = voice->flow.channels, begun = stream->begun, left = speaking.count;
    do {
        int count = left < voice->most_frames ? left : voice->most_frames;
        const float *frames = speaking.frames + (size_t)(speaking.count - left) * channels;
        left -= count;
        Walk walk = {
            .stream = stream, .memory = arena(), .thread = thread,
            .first = !begun, .last = speaking.last && left == 0,
        };
        float *decoded = NULL;
        int rows = run_flow(&walk, &voice->flow, frames, count, &decoded);
        given += run_decoder(&walk, &voice->decoder, decoded, rows, speaking.samples + given);
        if (thread == 0) {
            stream->now = !stream->now;
            stream->begun = 1;
            ((Speaking *)task)->given = given;
        }
        begun = 1;
        meet();
    } while (left > 0);
}

/* Speak the frames (row, channel) that come next in a stream; with `last` the utterance ends with
 * them. Write the samples that are determined now, and return how many: at most as many as all
 * frames so far last, less those given before. */
int32_t voicebench_voice_speak(const Voice *voice, Stream *stream, const float *frames,
                               int32_t count, int32_t last, float *samples) {
    Speaking speaking = { voice, stream, frames, count, last, samples, 0 };
    crew_works(voice->threads, speak, &speaking);
    return speaking.given;
}
