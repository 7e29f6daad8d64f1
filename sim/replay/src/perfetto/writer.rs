//! Writing trace events into a file that appears when it is complete.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{BufWriter, Write};

use pagewalk_input::{Place, Refusal};

/// The process that the CPUs' tracks belong to.
const CPUS: u32 = 1;
/// The process that the counters belong to.
const MEMORY: u32 = 2;

/// The file under construction.
pub(super) struct Writer {
    file: String,
    out: Option<BufWriter<File>>,
    mhz: u64,
    events: u64,
    error: Option<std::io::Error>,
}

impl Writer {
    /// Begins the file, under another name.
    pub(super) fn create(file: &str, mhz: u64) -> Result<Self, Refusal> {
        let mut writer = Self { file: file.to_owned(), out: None, mhz: mhz.max(1), events: 0, error: None };
        let out = File::create(writer.part()).map_err(|error| writer.refusal(&error))?;
        writer.out = Some(BufWriter::new(out));
        writer.write(format_args!("{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"));
        let name = |pid, name| {
            format!(
                "{{\"ph\":\"M\",\"pid\":{pid},\"name\":\"process_name\",\"args\":{{\"name\":\"{name}\"}}}}"
            )
        };
        writer.write(format_args!("{},\n{}", name(CPUS, "CPUs"), name(MEMORY, "Memory")));
        Ok(writer)
    }

    fn part(&self) -> String {
        format!("{}.part", self.file)
    }

    fn refusal(&self, error: &std::io::Error) -> Refusal {
        let place = Place::File { file: self.file.clone() };
        Refusal::new(place, format!("cannot be written: {error}"))
    }

    fn write(&mut self, text: Arguments<'_>) {
        if let (Some(out), None) = (&mut self.out, &self.error)
            && let Err(error) = out.write_fmt(text)
        {
            self.error = Some(error);
        }
    }

    /// Events of slices written so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// A clock as microseconds, with three decimals.
    fn time(&self, clock: u64) -> String {
        let nanoseconds = u128::from(clock) * 1000 / u128::from(self.mhz);
        format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000)
    }

    /// The name of a CPU's track.
    pub(super) fn name_cpu(&mut self, cpu: usize) {
        self.write(format_args!(
            ",\n{{\"ph\":\"M\",\"pid\":{CPUS},\"tid\":{},\"name\":\"thread_name\",\"args\":{{\"name\":\"CPU {cpu}\"}}}}",
            cpu + 1
        ));
    }

    fn event(&mut self, phase: char, cpu: usize, clock: u64, rest: Arguments<'_>) {
        self.events += 1;
        let time = self.time(clock);
        self.write(format_args!(
            ",\n{{\"ph\":\"{phase}\",\"pid\":{CPUS},\"tid\":{},\"ts\":{time}{rest}}}",
            cpu + 1
        ));
    }

    /// A slice begins on a CPU's track. `args` are the members of a JSON object.
    pub(super) fn begin(&mut self, cpu: usize, clock: u64, category: &str, name: &str, args: &str) {
        let name = text(name);
        self.event(
            'B',
            cpu,
            clock,
            format_args!(",\"cat\":\"{category}\",\"name\":{name},\"args\":{{{args}}}"),
        );
    }

    /// The innermost slice of a CPU's track ends.
    pub(super) fn end(&mut self, cpu: usize, clock: u64, args: &str) {
        self.event('E', cpu, clock, format_args!(",\"args\":{{{args}}}"));
    }

    /// An arrow from the slice open at one place to the slice open at another.
    pub(super) fn flow(&mut self, id: u64, from: (usize, u64), to: (usize, u64)) {
        let rest = format!(",\"cat\":\"shootdown\",\"name\":\"shootdown\",\"id\":{id}");
        self.event('s', from.0, from.1, format_args!("{rest}"));
        self.event('f', to.0, to.1, format_args!("{rest},\"bp\":\"e\""));
    }

    /// A value of a counter from a clock on.
    pub(super) fn counter(&mut self, name: &str, clock: u64, value: u64) {
        let time = self.time(clock);
        self.write(format_args!(
            ",\n{{\"ph\":\"C\",\"pid\":{MEMORY},\"ts\":{time},\"name\":\"{name}\",\"args\":{{\"value\":{value}}}}}"
        ));
    }

    /// Completes the file and gives it its name.
    pub(super) fn finish(mut self, command: &str) -> Result<(), Refusal> {
        let command = text(command);
        self.write(format_args!("\n],\"otherData\":{{\"made by\":\"pagewalk\",\"command\":{command}}}}}\n"));
        let error = self.error.take();
        let flushed = match (error, self.out.take()) {
            (Some(error), _) => Err(error),
            (None, Some(mut out)) => out.flush(),
            (None, None) => Ok(()),
        };
        let renamed = flushed.and_then(|()| std::fs::rename(self.part(), &self.file));
        renamed.map_err(|error| self.refusal(&error))
    }
}

impl Drop for Writer {
    /// What was not finished is worth nothing; if it cannot be removed, so be it.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.part());
    }
}

/// A text as a JSON string.
pub(super) fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
