package jeeves;

import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Waits for the request to stop the program: by SIGTERM, SIGINT, or the end of stdin.
 *
 * <p>Signals are handled here and not by a shutdown hook. All hooks run at the same time, the
 * agent's among them, and that one closes the exporter at once: spans of work that is still being
 * finished would be lost. So nothing shuts the machine down until the work is done; then {@link
 * #exit} does, and the agent's hook sends what it holds. It also ends with code 0, where a hook
 * cannot change the 143 of a SIGTERM.
 */
final class Stop {
  private static final Duration WORK = Duration.ofSeconds(6);
  private static final Duration RELEASE = Duration.ofMillis(300);
  private static final Duration ALL = Duration.ofMillis(7_700);

  private final String program;
  private final CountDownLatch asked = new CountDownLatch(1);
  private volatile Runnable wake = () -> {};
  private volatile Runnable release = () -> {};
  private volatile boolean givenUp;
  private final CountDownLatch workDone = new CountDownLatch(1);
  private final AtomicBoolean exiting = new AtomicBoolean();

  private Stop(String program) {
    this.program = program;
  }

  static Stop listen(String program, boolean withStdin) {
    Stop stop = new Stop(program);
    stop.onSignal("TERM");
    stop.onSignal("INT");
    if (withStdin) startDaemon("stdin", stop::readStdin);
    startDaemon("stop limit", stop::limit);
    startDaemon("last limit", stop::lastLimit);
    return stop;
  }

  boolean isAsked() {
    return asked.getCount() == 0;
  }

  void await() throws InterruptedException {
    asked.await();
  }

  /** Sets the action that interrupts the work's waiting when the program is asked to stop. */
  void wakeBy(Runnable waker) {
    wake = waker;
    if (isAsked()) waker.run();
  }

  /** Sets the action that ends the work's waiting when stopping takes too long. */
  void giveUpBy(Runnable releaser) {
    release = releaser;
  }

  boolean isGivenUp() {
    return givenUp;
  }

  /** Ends the program after its work: shutdown hooks run now, the agent's flushes the spans. */
  void exit() {
    workDone.countDown();
    if (!exiting.compareAndSet(false, true)) return;
    if (givenUp) {
      Output.error(program, "stopping was given up after " + WORK.toMillis() + " ms");
    }
    System.exit(givenUp ? 1 : 0);
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
      Output.error(program, "stdin: " + Output.messageOf(broken));
    }
    ask();
  }

  /**
   * Bounds the end of the work, so that a client of a broker that is gone leaves time to send the
   * spans. Daemon threads run on while the hooks run.
   */
  private void limit() {
    try {
      asked.await();
      if (!workDone.await(WORK.toMillis(), TimeUnit.MILLISECONDS)) {
        givenUp = true;
        startDaemon("giving up", release);
        workDone.await(RELEASE.toMillis(), TimeUnit.MILLISECONDS);
        startDaemon("exit", this::exit);
      }
    } catch (InterruptedException never) {
      Thread.currentThread().interrupt();
    }
  }

  /** Bounds an exporter that nobody answers. */
  private void lastLimit() {
    try {
      asked.await();
      TimeUnit.MILLISECONDS.sleep(ALL.toMillis());
    } catch (InterruptedException never) {
      Thread.currentThread().interrupt();
      return;
    }
    Output.error(program, "spans were lost: the backend did not take them in time");
    Runtime.getRuntime().halt(givenUp ? 1 : 0);
  }

  private static void startDaemon(String name, Runnable body) {
    Thread thread = new Thread(body, name);
    thread.setDaemon(true);
    thread.start();
  }
}
