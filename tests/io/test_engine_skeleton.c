/* The skeleton refuses every request, but does so as the contract wants it. */
#include <criterion/criterion.h>
#include <errno.h>

#include "io/engine_support.h"

Test(engine_skeleton, completes_each_request_with_enotsup) {
  struct io_engine *engine;
  struct io_engine_config config = {.queue_depth = 2};
  cr_assert_eq(io_engine_skeleton.open(&engine, &config, NULL), 0);
  struct io_request batch[3] = {{.tag = 10}, {.tag = 11}, {.tag = 12}};
  struct io_completion done[3];
  cr_expect_eq(engine->ops->submit(engine, batch, 3, NULL), 2);
  cr_expect_eq(engine->ops->reap(engine, done, 3, 3, 1, NULL), 2);
  cr_expect_eq(done[0].error, -ENOTSUP);
  cr_expect_eq(done[0].tag + done[1].tag, 21);
  cr_expect_eq(engine->ops->reap(engine, done, 3, 1, 1, NULL), 0);
  engine->ops->close(engine);
  io_engine_skeleton.close(NULL);
}

Test(engine_skeleton, has_no_options) {
  struct io_engine *engine;
  struct io_engine_config config = {.queue_depth = 2, .options = "x"};
  cr_expect_eq(io_engine_skeleton.open(&engine, &config, NULL), -EINVAL);
}
