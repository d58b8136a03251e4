/* Loads a SavedModel by TensorFlow's C API, feeds it and prints what it answers: no Python is involved.

   load_servable FOLDER < QUESTIONS

   A question is words, separated by white space:

       feed  NAME PLACE TYPE RANK SIZE... VALUE...   an input, the operation's name and the output's place
       fetch NAME PLACE                              an output
       ask                                           the end of the question

   TYPE is int64, int32, float or string; a string is written LENGTH:BYTES. Each output is printed as a line
   `NAME PLACE TYPE RANK SIZE... VALUE...` in the same form, and an empty line after each answer. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

enum { MOST = 64, WORD = 512, DIMENSIONS = 8 };

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(const char *what, TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

static int64_t read_number(void) {
  int64_t number;
  if (scanf("%" SCNd64, &number) != 1) fail("question", "expected a whole number");
  return number;
}

static TF_DataType read_type(void) {
  char word[WORD];
  if (scanf("%511s", word) != 1) fail("question", "expected a type");
  if (!strcmp(word, "int64")) return TF_INT64;
  if (!strcmp(word, "int32")) return TF_INT32;
  if (!strcmp(word, "float")) return TF_FLOAT;
  if (!strcmp(word, "string")) return TF_STRING;
  fail("question: no type that is known", word);
  return TF_FLOAT;
}

static void read_string(TF_TString *into) {
  int64_t length = read_number();
  char *bytes = malloc(length + 1);
  if (getchar() != ':' || fread(bytes, 1, length, stdin) != (size_t)length) {
    fail("question", "expected LENGTH:BYTES");
  }
  TF_StringInit(into);
  TF_StringCopy(into, bytes, length);
  free(bytes);
}

static TF_Tensor *read_tensor(void) {
  TF_DataType type = read_type();
  int rank = (int)read_number();
  if (rank < 0 || rank > DIMENSIONS) fail("question", "expected a rank of at most 8");
  int64_t sizes[DIMENSIONS], count = 1;
  for (int axis = 0; axis < rank; ++axis) count *= sizes[axis] = read_number();
  size_t size = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  TF_Tensor *tensor = TF_AllocateTensor(type, sizes, rank, count * size);
  void *data = TF_TensorData(tensor);
  for (int64_t place = 0; place < count; ++place) {
    if (type == TF_INT64) ((int64_t *)data)[place] = read_number();
    if (type == TF_INT32) ((int32_t *)data)[place] = (int32_t)read_number();
    if (type == TF_FLOAT && scanf("%f", (float *)data + place) != 1) fail("question", "expected a number");
    if (type == TF_STRING) read_string((TF_TString *)data + place);
  }
  return tensor;
}

static void print_tensor(const char *name, const TF_Tensor *tensor) {
  static const char *const names[] = {[TF_FLOAT] = "float", [TF_INT32] = "int32", [TF_STRING] = "string",
                                      [TF_INT64] = "int64"};
  TF_DataType type = TF_TensorType(tensor);
  if (type >= sizeof(names) / sizeof(*names) || !names[type]) fail(name, "has a type that is not known");
  printf("%s %d", names[type], TF_NumDims(tensor));
  for (int axis = 0; axis < TF_NumDims(tensor); ++axis) printf(" %" PRId64, TF_Dim(tensor, axis));
  const void *data = TF_TensorData(tensor);
  for (int64_t place = 0; place < TF_TensorElementCount(tensor); ++place) {
    if (type == TF_INT64) printf(" %" PRId64, ((const int64_t *)data)[place]);
    if (type == TF_INT32) printf(" %" PRId32, ((const int32_t *)data)[place]);
    if (type == TF_FLOAT) printf(" %.9g", ((const float *)data)[place]);
    if (type == TF_STRING) {
      const TF_TString *text = (const TF_TString *)data + place;
      printf(" %zu:", TF_StringGetSize(text));
      fwrite(TF_StringGetDataPointer(text), 1, TF_StringGetSize(text), stdout);
    }
  }
  printf("\n");
}

static TF_Output read_output(TF_Graph *graph, char *name) {
  if (scanf("%511s", name) != 1) fail("question", "expected an operation's name");
  TF_Output output = {TF_GraphOperationByName(graph, name), (int)read_number()};
  if (!output.oper) fail("the graph has no operation", name);
  return output;
}

/* Reads a question and prints its answer; 0 where there is none any more. */
static int answer(TF_Session *session, TF_Graph *graph, TF_Status *status) {
  TF_Output feeds[MOST], fetches[MOST];
  TF_Tensor *fed[MOST], *fetched[MOST];
  char names[MOST][WORD], word[WORD], name[WORD];
  int inputs = 0, outputs = 0;
  for (;;) {
    if (scanf("%511s", word) != 1) {
      if (inputs || outputs) fail("question", "expected `ask` at its end");
      return 0;
    }
    if (!strcmp(word, "ask")) break;
    if (inputs == MOST || outputs == MOST) fail("question", "too many tensors");
    if (!strcmp(word, "feed")) {
      feeds[inputs] = read_output(graph, name);
      fed[inputs++] = read_tensor();
    } else if (!strcmp(word, "fetch")) {
      fetches[outputs] = read_output(graph, names[outputs]);
      ++outputs;
    } else {
      fail("question: expected feed, fetch or ask", word);
    }
  }
  TF_SessionRun(session, NULL, feeds, fed, inputs, fetches, fetched, outputs, NULL, 0, NULL, status);
  check("running", status);
  for (int place = 0; place < outputs; ++place) {
    printf("%s %d ", names[place], fetches[place].index);
    print_tensor(names[place], fetched[place]);
    TF_DeleteTensor(fetched[place]);
  }
  for (int place = 0; place < inputs; ++place) TF_DeleteTensor(fed[place]);
  printf("\n");
  return 1;
}

int main(int count, char **arguments) {
  if (count != 2) fail("load_servable", "expected one argument, the folder of a version");
  TF_Status *status = TF_NewStatus();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Graph *graph = TF_NewGraph();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, NULL, status);
  check("loading", status);
  while (answer(session, graph, status)) continue;
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteGraph(graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return 0;
}
