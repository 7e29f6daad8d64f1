//! A sweep as a Slurm job array.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use pagewalk_input::shell::quoted;
use pagewalk_input::{Place, Refusal, write_whole};
use pagewalk_sweep::Store;

use super::args::SubmitArgs;

/// Writes the job's script, and hands it to `sbatch` unless told not to. Yields what there is to say.
///
/// # Errors
/// If it cannot be written, or `sbatch` refuses it.
pub(crate) fn submit(args: &SubmitArgs, store: &Store) -> Result<String, Refusal> {
    store.create()?;
    let script = store.file("submit.sh");
    write_whole(&script, text(args, store)?.as_bytes())?;
    let shown = script.display();
    if args.dry_run {
        return Ok(format!("wrote {shown}; submit it with: sbatch {shown}\n"));
    }
    let output = Command::new("sbatch").args(&args.sbatch).arg(&script).output();
    let failed = |why: String| {
        Refusal::new(Place::File { file: shown.to_string() }, format!("cannot be submitted: {why}"))
            .expected("sbatch, which is part of Slurm")
            .help("`--dry-run` writes the script and leaves submitting it to you")
    };
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let told = String::from_utf8_lossy(&output.stdout).trim().to_lowercase();
    Ok(format!(
        "{told}\n{} tasks; `pagewalk sweep status {}` says how far they are\n",
        args.shards, args.store.file
    ))
}

/// The script: tasks that are lost are run again, and skip what is finished. A task must not depend on where it begins.
fn text(args: &SubmitArgs, store: &Store) -> Result<String, Refusal> {
    let absolute = |path: &Path| -> Result<PathBuf, Refusal> {
        std::path::absolute(path).map_err(|error| {
            Refusal::new(
                Place::File { file: path.display().to_string() },
                format!("has no absolute path: {error}"),
            )
        })
    };
    let here = absolute(Path::new("."))?;
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("pagewalk"));
    let (file, out) = (absolute(Path::new(&args.store.file))?, absolute(&store.file(""))?);
    let limit = args.concurrent.map(|limit| format!("%{limit}")).unwrap_or_default();
    let mut script = String::from("#!/bin/sh\n");
    let _ = writeln!(script, "#SBATCH --job-name=pagewalk-sweep");
    let _ = writeln!(script, "#SBATCH --array=0-{}{limit}", args.shards - 1);
    // A task whose node is lost runs again, and goes on in the same log.
    let _ = writeln!(script, "#SBATCH --requeue\n#SBATCH --open-mode=append");
    let _ = writeln!(script, "cd {} || exit 1", quoted(&here.to_string_lossy()));
    let _ = writeln!(
        script,
        "exec {} sweep run {} --out {} --shard auto --jobs \"${{SLURM_CPUS_PER_TASK:-1}}\"",
        quoted(&program.to_string_lossy()),
        quoted(&file.to_string_lossy()),
        quoted(&out.to_string_lossy())
    );
    Ok(script)
}
