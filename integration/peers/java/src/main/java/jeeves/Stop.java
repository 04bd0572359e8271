package jeeves;

import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Tells when the program is asked to stop: by SIGTERM, SIGINT, or the end of stdin.
 *
 * <p>Signals are handled here and not by a shutdown hook. All hooks run at the same time, the
 * agent's among them, and that one closes the exporter at once: spans of work that is still being
 * finished would be lost. So nothing shuts the machine down until the work is done; then {@link
 * #exit} does, and the agent's hook sends what it holds. It also ends with code 0, where a hook
 * cannot change the 143 of a SIGTERM.
 */
final class Stop {
  private static final Duration LIMIT = Duration.ofSeconds(7);

  private final String program;
  private final CountDownLatch asked = new CountDownLatch(1);
  private volatile Runnable wake = () -> {};
  private volatile boolean workDone;

  private Stop(String program) {
    this.program = program;
  }

  static Stop listen(String program, boolean withStdin) {
    Stop stop = new Stop(program);
    stop.onSignal("TERM");
    stop.onSignal("INT");
    if (withStdin) startDaemon("stdin", stop::readStdin);
    startDaemon("stop limit", stop::limit);
    return stop;
  }

  boolean isAsked() {
    return asked.getCount() == 0;
  }

  void await() throws InterruptedException {
    asked.await();
  }

  /** What interrupts the work's waiting when the program is asked to stop. */
  void wakeBy(Runnable waker) {
    wake = waker;
    if (isAsked()) waker.run();
  }

  /** Ends the program after its work: shutdown hooks run now, the agent's flushes the spans. */
  void exit() {
    workDone = true;
    System.exit(0);
  }

  // Java has no other way to hear a signal; the module that exports it, jdk.unsupported, is in
  // every JDK.
  private void onSignal(String name) {
    sun.misc.Signal.handle(new sun.misc.Signal(name), signal -> ask());
  }

  private void ask() {
    asked.countDown();
    wake.run();
  }

  private void readStdin() {
    try {
      // The starter holds the other end: when it is gone, however it went, so are we.
      System.in.transferTo(OutputStream.nullOutputStream());
    } catch (IOException broken) {
      Says.complain(program, "stdin: " + Says.why(broken));
    }
    ask();
  }

  /**
   * Daemon threads run on while the hooks run, so this also bounds an exporter that nobody answers.
   */
  private void limit() {
    try {
      asked.await();
      TimeUnit.MILLISECONDS.sleep(LIMIT.toMillis());
    } catch (InterruptedException never) {
      Thread.currentThread().interrupt();
      return;
    }
    Says.complain(
        program,
        workDone
            ? "spans were lost: the backend did not take them in time"
            : "did not stop in " + LIMIT.toMillis() + " ms");
    Runtime.getRuntime().halt(workDone ? 0 : 1);
  }

  private static void startDaemon(String name, Runnable body) {
    Thread thread = new Thread(body, name);
    thread.setDaemon(true);
    thread.start();
  }
}
