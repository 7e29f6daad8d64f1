//! Imports logs of whatever format they have: `import_lackey OUT.pwt LEVEL LOG...`; several logs are those of the processes of one command.

use std::error::Error;
use std::fs::File;

use pagewalk_trace::{ImportOptions, Log, PendingFile, TraceWriter, decompress, sniff};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [out, level, names @ ..] = args.as_slice() else {
        return Err("usage: import_lackey OUT.pwt LEVEL LOG...".into());
    };
    let mut logs = Vec::new();
    for name in names {
        logs.push(Log { name: name.clone(), input: decompress(File::open(name)?)? });
    }
    let (importer, logs) = sniff(logs)?;
    let mut file = PendingFile::create(out.as_ref())?;
    let mut writer = TraceWriter::within(&mut file, level.parse()?)?;
    importer.import(logs, ImportOptions { look: true, ..ImportOptions::default() }, &mut writer)?;
    println!("{:#?}", writer.finish()?);
    Ok(file.commit()?)
}
