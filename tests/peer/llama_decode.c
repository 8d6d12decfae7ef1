/* Writes a copy of a model file with every tensor decoded to 32-bit float by ggml's own code: what llama.cpp computes
 * from the copy is free of the rounding of activations that comes with quantized weights.
 *
 * usage: llama_decode IN.gguf OUT.gguf */

#include <stdio.h>
#include <stdlib.h>

#include "ggml.h"
#include "gguf.h"

static void die(const char * what) {
    fprintf(stderr, "llama_decode: %s\n", what);
    exit(1);
}

int main(int argc, char ** argv) {
    if (argc != 3) {
        die("usage: llama_decode IN.gguf OUT.gguf");
    }
    struct ggml_context * in_data = NULL;
    struct gguf_context * in = gguf_init_from_file(argv[1], (struct gguf_init_params) { .no_alloc = false, .ctx = &in_data });
    if (!in) {
        die("the model cannot be read");
    }
    const int64_t n_tensors = gguf_get_n_tensors(in);
    size_t size = ggml_tensor_overhead() * (size_t) (n_tensors + 1);
    for (struct ggml_tensor * t = ggml_get_first_tensor(in_data); t; t = ggml_get_next_tensor(in_data, t)) {
        size += (size_t) ggml_nelements(t) * sizeof(float) + GGML_MEM_ALIGN;
    }
    struct ggml_context * out_data = ggml_init((struct ggml_init_params) { .mem_size = size });
    struct gguf_context * out = gguf_init_empty();
    if (!out_data || !out) {
        die("there is not enough memory");
    }
    gguf_set_kv(out, in);
    for (int64_t i = 0; i < n_tensors; i++) {
        const struct ggml_tensor * from = ggml_get_tensor(in_data, gguf_get_tensor_name(in, i));
        struct ggml_tensor * to = ggml_new_tensor(out_data, GGML_TYPE_F32, ggml_n_dims(from), from->ne);
        ggml_set_name(to, from->name);
        const ggml_to_float_t decode = ggml_get_type_traits(from->type)->to_float;
        if (from->type == GGML_TYPE_F32) {
            for (int64_t j = 0; j < ggml_nelements(from); j++) {
                ((float *) to->data)[j] = ((const float *) from->data)[j];
            }
        } else {
            decode(from->data, to->data, ggml_nelements(from));
        }
        gguf_add_tensor(out, to);
    }
    if (!gguf_write_to_file(out, argv[2], false)) {
        die("the copy cannot be written");
    }
    return 0;
}
