/* Writes llama.cpp's logits for a list of tokens: the reference of `benches/parity`.
 *
 * usage: llama_logits MODEL.gguf TOKENS OUT N_CTX auto|off|exact
 *   TOKENS  token ids, 32-bit unsigned, native byte order
 *   OUT     logits, 32-bit float, native byte order, [n_tokens, n_vocab]
 *
 *   auto   flash attention as llama.cpp chooses
 *   off    without flash attention, which adds up values in half precision
 *   exact  as `off`, with keys and values in single precision
 *
 * Everything else is left at llama.cpp's defaults (threads, repacking), as its users run it; the tokens are
 * evaluated as one sequence from position 0, without any token added. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

static void die(const char * what) {
    fprintf(stderr, "llama_logits: %s\n", what);
    exit(1);
}

static void quiet(enum ggml_log_level level, const char * text, void * data) {
    (void) data;
    if (level >= GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

static llama_token * read_tokens(const char * path, int32_t * n_tokens) {
    FILE * file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        die("the token file cannot be read");
    }
    *n_tokens = (int32_t) (ftell(file) / (long) sizeof(llama_token));
    rewind(file);
    llama_token * tokens = malloc((size_t) *n_tokens * sizeof(llama_token));
    if (*n_tokens == 0 || !tokens || fread(tokens, sizeof(llama_token), (size_t) *n_tokens, file) != (size_t) *n_tokens) {
        die("the token file is empty or cannot be read");
    }
    fclose(file);
    return tokens;
}

int main(int argc, char ** argv) {
    if (argc != 6) {
        die("usage: llama_logits MODEL.gguf TOKENS OUT N_CTX auto|off|exact");
    }
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) {
        die("the model cannot be loaded");
    }
    int32_t n_tokens = 0;
    llama_token * tokens = read_tokens(argv[2], &n_tokens);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t) atoi(argv[4]);
    params.flash_attn_type =
        strcmp(argv[5], "auto") == 0 ? LLAMA_FLASH_ATTN_TYPE_AUTO : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    if (strcmp(argv[5], "exact") == 0) {
        params.type_k = GGML_TYPE_F32;
        params.type_v = GGML_TYPE_F32;
    }
    struct llama_context * context = llama_init_from_model(model, params);
    if (!context) {
        die("the context cannot be made");
    }
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    const int32_t n_batch = (int32_t) llama_n_batch(context);
    FILE * out = fopen(argv[3], "wb");
    if (!out) {
        die("the output cannot be written");
    }
    struct llama_batch batch = llama_batch_init(n_batch, 0, 1);
    for (int32_t start = 0; start < n_tokens; start += n_batch) {
        batch.n_tokens = n_tokens - start < n_batch ? n_tokens - start : n_batch;
        for (int32_t i = 0; i < batch.n_tokens; i++) {
            batch.token[i] = tokens[start + i];
            batch.pos[i] = start + i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = 1;
        }
        if (llama_decode(context, batch) != 0) {
            die("decoding stopped");
        }
        for (int32_t i = 0; i < batch.n_tokens; i++) {
            if (fwrite(llama_get_logits_ith(context, i), sizeof(float), (size_t) n_vocab, out) != (size_t) n_vocab) {
                die("the output cannot be written");
            }
        }
    }
    return fclose(out) == 0 ? 0 : 1;
}
