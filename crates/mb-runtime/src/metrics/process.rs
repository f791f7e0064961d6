//! What is told of the process as a whole, under the names that every Prometheus client library uses.
//!
//! Several roles may share a process, so this is a source of its own that each `/metrics` shows once. Memory, processor time
//! and open files are read from `/proc`, so other systems than Linux do not tell them; their own agents do.

use mb_core::Clock;

use super::Metrics;
use crate::logging;

impl Metrics {
    /// Version, start, resources and the log's figures of this process.
    #[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
    pub fn of_process(version: &str, clock: &Clock) -> Self {
        let mut metrics = Self::new();
        metrics.gauge_family("mb_build_info", "1; the label says which version runs.", "version").of(version).set(1.0);
        let started = clock.now().micros() as f64 / 1e6;
        metrics
            .gauge_of("process_start_time_seconds", "When the process started, seconds since 1970.", move || started);
        metrics.counter_of("mb_log_errors", "Lines of level error that were logged.", || logging::errors() as f64);
        metrics.counter_of("mb_log_warnings", "Lines of level warn that were logged.", || logging::warnings() as f64);
        #[cfg(target_os = "linux")]
        linux::register(&mut metrics);
        metrics
    }
}

#[cfg(target_os = "linux")]
mod linux {
    //! Source: proc(5). What cannot be read is NaN, which no comparison holds for.

    use std::fs;

    use super::Metrics;

    /// Ticks per second in `/proc`: `USER_HZ`, 100 on every architecture that this is built for.
    const TICKS: f64 = 100.0;

    pub(super) fn register(metrics: &mut Metrics) {
        let cpu = "Processor time that the process took, in user and system mode.";
        metrics.counter_of("process_cpu_seconds", cpu, || cpu_seconds().unwrap_or(f64::NAN));
        let memory = "Memory of the process that is in RAM.";
        metrics.gauge_of("process_resident_memory_bytes", memory, || resident_bytes().unwrap_or(f64::NAN));
        metrics.gauge_of("process_open_fds", "Open files and connections.", || open_files().unwrap_or(f64::NAN));
        let limit = "The most files and connections that may be open.";
        metrics.gauge_of("process_max_fds", limit, || max_files().unwrap_or(f64::NAN));
    }

    fn cpu_seconds() -> Option<f64> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name, which may hold anything but ends with the last bracket.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        Some((ticks()? + ticks()?) / TICKS)
    }

    fn resident_bytes() -> Option<f64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
    }

    fn open_files() -> Option<f64> {
        // One of them is the directory that is being read.
        let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        u32::try_from(open).ok().map(f64::from)
    }

    fn max_files() -> Option<f64> {
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        match line.split_whitespace().next()? {
            "unlimited" => Some(f64::INFINITY),
            soft => soft.parse().ok(),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_figures_are_this_processs_own() {
            let before = open_files().expect("readable");
            let file = fs::File::open("/proc/self/stat").expect("opened");
            assert!(open_files().expect("readable") > before, "one more is open");
            drop(file);
            assert!(max_files().expect("readable") >= before);
            let megabytes = resident_bytes().expect("readable") / f64::from(1 << 20);
            assert!((0.5..100_000.0).contains(&megabytes), "{megabytes}");
            let start = cpu_seconds().expect("readable");
            while cpu_seconds().expect("readable") < start + 0.02 {
                std::hint::spin_loop();
            }
        }
    }
}
