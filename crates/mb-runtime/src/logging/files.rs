//! Log files: lines go through a bounded queue to a thread of their own, so that a slow disk holds up no request.
//!
//! What finds the queue full or the disk refusing is dropped and counted; the file says so as soon as it can be written
//! again. Standard error has every line in any case.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use mb_core::Clock;
use serde_json::json;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::component::Component;
use super::rolling::{Limits, RollingFile};
use crate::error::RuntimeError;

/// How many lines may wait.
const QUEUE_LINES: usize = 16 * 1024;

/// How many bytes may wait.
const QUEUE_BYTES: usize = 16 << 20;

/// How often files are looked after without a line.
const TICK: Duration = Duration::from_secs(5);

/// How long the end of a process waits for its last lines.
const CLOSING: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone, Debug)]
pub struct LogFiles {
    /// The directory.
    pub dir: PathBuf,
    /// Decides when it is midnight.
    pub clock: Clock,
    /// Those that run in this process, at least one; the first also has what is nobody's.
    pub components: &'static [Component],
}

/// The end of logging to files.
#[derive(Debug)]
pub struct Logs(Option<Sink>);

impl Logs {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Writes why the process ends, which standard error has in another form.
    pub fn ended(&self, error: &str) {
        let Some(sink) = &self.0 else { return };
        let line = json_line(&sink.shared.clock, "ERROR", "ended", json!({ "error": error }));
        sink.push(sink.shared.components[0], line);
    }

    /// Writes what still waits, for at most two seconds. Lines that come later are dropped.
    pub fn close(self) {
        let Some(sink) = self.0 else { return };
        let give_up = Instant::now() + CLOSING;
        let (reply, done) = mpsc::sync_channel(1);
        let mut close = Entry::Close(reply);
        while let Err(mpsc::TrySendError::Full(back)) = sink.queue.try_send(close) {
            if Instant::now() >= give_up {
                return;
            }
            close = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        // Without an answer the disk is too slow to wait for, or the thread is gone.
        done.recv_timeout(give_up.saturating_duration_since(Instant::now())).ok();
    }
}

/// The way to the files.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    queue: SyncSender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    components: &'static [Component],
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Lines dropped since the file last said so, by place in [`Shared::components`].
    lost: Vec<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    /// A line for the file at this place.
    Line(usize, Vec<u8>),
    /// Everything before it is written: answer and end.
    Close(SyncSender<()>),
}

/// Starts the thread. The files are made by the time this returns, or it was tried.
pub(super) fn start(files: &LogFiles, limits: Limits) -> Result<(Sink, Logs), RuntimeError> {
    let (queue, entries) = mpsc::sync_channel(QUEUE_LINES);
    let shared = Arc::new(Shared {
        clock: files.clock.clone(),
        components: files.components,
        waiting: AtomicUsize::new(0),
        lost: files.components.iter().map(|_| AtomicU64::new(0)).collect(),
    });
    let file = |component: &Component| {
        let mut file = RollingFile::new(files.dir.clone(), component.file_name(), files.clock.clone(), limits);
        file.tick();
        Output { file, name: component.file_name(), failing: false }
    };
    let mut writer = Writer { outputs: files.components.iter().map(file).collect(), shared: Arc::clone(&shared) };
    std::thread::Builder::new()
        .name("log files".into())
        .spawn(move || writer.run(&entries))
        .map_err(|error| RuntimeError::Log(format!("start the thread of log files: {error}")))?;
    let sink = Sink { queue, shared };
    Ok((sink.clone(), Logs(Some(sink))))
}

impl Sink {
    fn push(&self, component: Component, line: Vec<u8>) {
        let bytes = line.len();
        let place = self.shared.place(component);
        let fits = self.shared.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= QUEUE_BYTES;
        if !fits || self.queue.try_send(Entry::Line(place, line)).is_err() {
            self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.lost[place].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    fn place(&self, component: Component) -> usize {
        self.components.iter().position(|known| *known == component).unwrap_or(0)
    }
}

/// One line on its way. The formatter writes each event with one call.
pub(super) struct LineWriter<'a> {
    sink: &'a Sink,
    component: Component,
}

impl io::Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.sink.push(self.component, line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { sink: self, component: self.shared.components[0] }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let component = Component::of_line(meta.target()).unwrap_or(self.shared.components[0]);
        LineWriter { sink: self, component }
    }
}

/// What the thread owns.
struct Writer {
    outputs: Vec<Output>,
    shared: Arc<Shared>,
}

struct Output {
    file: RollingFile,
    name: &'static str,
    failing: bool,
}

impl Writer {
    fn run(&mut self, entries: &Receiver<Entry>) {
        let mut ticked = Instant::now();
        loop {
            match entries.recv_timeout(TICK) {
                Ok(Entry::Line(place, line)) => {
                    self.shared.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                    self.write(place, &line);
                }
                Ok(Entry::Close(reply)) => {
                    // Nobody waits for it any more if this fails.
                    reply.send(()).ok();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if ticked.elapsed() >= TICK {
                self.outputs.iter_mut().for_each(|output| output.file.tick());
                ticked = Instant::now();
            }
        }
    }

    fn write(&mut self, place: usize, line: &[u8]) {
        let (output, lost) = (&mut self.outputs[place], &self.shared.lost[place]);
        let count = lost.swap(0, Ordering::Relaxed);
        let written = if count > 0 {
            let note = json_line(&self.shared.clock, "WARN", "log lines were lost", json!({ "lost": count }));
            output.file.write(&[&note, line].concat())
        } else {
            output.file.write(line)
        };
        if let Err(error) = &written {
            lost.fetch_add(count + 1, Ordering::Relaxed);
            if !output.failing {
                tracing::error!(file = output.name, %error, "log file cannot be written");
            }
        }
        output.failing = written.is_err();
    }
}

/// A line as the formatter would make it.
fn json_line(clock: &Clock, level: &str, message: &str, mut fields: serde_json::Value) -> Vec<u8> {
    fields["timestamp"] = clock.now().to_string().into();
    fields["level"] = level.into();
    fields["message"] = message.into();
    fields["target"] = module_path!().into();
    format!("{fields}\n").into_bytes()
}

#[cfg(test)]
mod tests;
