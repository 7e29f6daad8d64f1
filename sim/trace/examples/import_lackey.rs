//! Imports lackey logs: `import_lackey OUT.pwt LEVEL LOG...`; several logs are those of the processes of one command.

use std::error::Error;
use std::fs::File;

use pagewalk_trace::{Log, LogOptions, TraceWriter, decompress, has_calls, import_lackey, import_logs};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [out, level, names @ ..] = args.as_slice() else {
        return Err("usage: import_lackey OUT.pwt LEVEL LOG...".into());
    };
    let mut writer = TraceWriter::create(out, level.parse()?)?;
    let (mut logs, mut calls) = (Vec::new(), names.len() > 1);
    for name in names {
        let (has_calls, input) = has_calls(decompress(File::open(name)?)?)?;
        calls |= has_calls;
        logs.push(Log { name: name.clone(), input });
    }
    match logs.pop() {
        Some(log) if !calls => import_lackey(log.input, &log.name, &mut writer)?,
        last => {
            logs.extend(last);
            let options = LogOptions { look: true, ..LogOptions::default() };
            import_logs(logs, options, &mut writer)?;
        }
    }
    println!("{:#?}", writer.finish()?);
    Ok(())
}
