//! Destinations whose name server does not answer hold up nobody: neither other destinations nor what goes nowhere.

mod needs_unshare {
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    use crate::delivering::{ALLOWED, submit};
    use crate::harness::{Broker, PATIENCE};
    use crate::receiver::Receiver;

    /// A name server that takes questions and answers none.
    const SILENT: &str = "127.0.0.97";
    /// Destinations that nobody finds, and requests to each at once: more than the 512 threads of the runtime for what blocks.
    const LOST: (usize, usize) = (10, 60);

    #[test]
    fn a_name_server_that_does_not_answer_holds_up_nobody() {
        // File systems are changed by root alone, which CI is.
        let Ok(_silent) = UdpSocket::bind((SILENT, 53)) else {
            eprintln!("SKIPPED: only root has the port of a name server");
            return;
        };
        let directory = tempfile::tempdir().expect("temporary folder");
        let servers = directory.path().join("resolv.conf");
        std::fs::write(&servers, format!("nameserver {SILENT}\n")).expect("written");
        let script = format!("mount --bind {} \"$(readlink -f /etc/resolv.conf)\"", servers.display());
        let broker = Broker::start_apart(&script, &ALLOWED);
        let receiver = Receiver::start(Duration::ZERO);
        let named = receiver.url.replace("127.0.0.1", "localhost");
        for (name, url) in [("numbered", &receiver.url), ("named", &named)] {
            broker.run_ok(&["admin", "destinations", "create", name, "--url", url, "--topics", "well"]);
        }
        broker.wait_delivered(&submit(&broker, "well", 1));
        for n in 0..LOST.0 {
            let (name, url, at_once) =
                (format!("lost{n}"), format!("https://h{n}.blackhole.test/"), LOST.1.to_string());
            let to = ["--url", &url, "--topics", "lost", "--concurrency", &at_once];
            broker.run_ok(&[&["admin", "destinations", "create", &name][..], &to].concat());
        }
        submit(&broker, "lost", LOST.1);
        let begun = Instant::now();
        let well = submit(&broker, "well", 40);
        broker.wait_delivered(&well);
        broker.wait_delivered(&submit(&broker, "nowhere", 5));
        assert!(begun.elapsed() < PATIENCE / 6, "{:?}", begun.elapsed());
        assert_eq!(receiver.count(), 2 * 41, "at both");
    }
}
