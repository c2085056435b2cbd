//! `create` and `run`.

use super::Outcome;
use super::container;
use super::delete::{forget, run_poststop};
use super::exit::{self, Witness};
use super::launch::{Up, Wish, bring_up, undo};
use super::report::{and_undo, failed, hook_failed, refusal, state_failed};
use crate::cli::{Context, CreateArgs, Report, RunArgs, choose_bundle};
use crate::engine::{Foreground, end, hooks};
use crate::spec::Hook;
use crate::state::{Entry, Record, Status};
use mydocker_sys::process;
use std::path::Path;

/// `create`: makes a container that waits for `start`.
///
/// # Errors
/// If the bundle is wrong or the container cannot be made; nothing is left then.
pub fn create(args: &CreateArgs, context: &Context) -> Outcome {
    let id = container::id(&args.id)?;
    let wish = Wish {
        launch: &args.launch,
        id,
        await_start: true,
        own_terminal: false,
        attended: false,
        adopts_orphans: false,
    };
    let up = bring_up(&wish, context)?;
    up.launched.release().map_err(failed("setup"))?;
    Ok(0)
}

/// `run`: makes a container and starts it; in the foreground it attends the program and deletes the container at its
/// end.
///
/// # Errors
/// If the bundle is wrong or the container cannot be made; nothing is left then.
pub fn run(args: &RunArgs, context: &Context) -> Outcome {
    let mut launch = args.launch.clone();
    let has_config = |directory: &Path| directory.join(crate::spec::CONFIG_FILE).exists();
    let cwd = || std::env::current_dir().unwrap_or_default();
    let target = choose_bundle(args, cwd, has_config).map_err(failed("bad-bundle"))?;
    launch.bundle = target.bundle;
    let id = container::id(&target.id)?;
    let wish = Wish {
        launch: &launch,
        id,
        await_start: false,
        own_terminal: !args.detach,
        attended: !args.detach && !args.keep,
        adopts_orphans: !args.detach && !args.no_subreaper,
    };
    if args.detach {
        return detach(bring_up(&wish, context)?, context);
    }
    // Signals wait from here on, so that none is lost between the program's start and the first look.
    let foreground = Foreground::begin().map_err(failed("foreground"))?;
    attend(args, context, bring_up(&wish, context)?, foreground)
}

fn detach(up: Up, context: &Context) -> Outcome {
    let Up { entry, launched, notify, .. } = after_start(up, context)?;
    // Others must be able to kill the container while it is waited for.
    drop(entry);
    let pid = launched.pid;
    let pidfd = launched.release().map_err(failed("setup"))?;
    if let Some(notify) = notify {
        notify.wait(pid, &pidfd).map_err(failed("notify"))?;
    }
    Ok(0)
}

/// Runs the poststart hooks; a failure stops the container and destroys it (runtime.md, Lifecycle 9).
fn after_start(up: Up, context: &Context) -> Result<Up, Box<Report>> {
    let state = up.record.state(Status::Running);
    let hooks = &up.bundle.spec.spec().hooks;
    match hooks::run("poststart", &hooks.poststart, &state) {
        Ok(()) => {
            context.timings.mark("poststart");
            Ok(up)
        }
        Err(error) => {
            let Up { entry, record, launched, bundle, .. } = up;
            drop(launched);
            let report = and_undo(hook_failed(&error), undo(entry, &record));
            run_poststop(&bundle.spec.spec().hooks.poststop, &record.state(Status::Stopped), &context.log);
            Err(report)
        }
    }
}

/// Deletes a container whose program has ended, unless somebody else has done it meanwhile.
pub(super) fn forget_ended(
    entry: &Entry,
    record: &Record,
    poststop: &[Hook],
    context: &Context,
) -> Result<(), Box<Report>> {
    if !entry.lock().map_err(state_failed)? {
        return Ok(());
    }
    forget(entry, record)?;
    run_poststop(poststop, &record.state(Status::Stopped), &context.log);
    Ok(())
}

fn attend(args: &RunArgs, context: &Context, up: Up, mut foreground: Foreground) -> Outcome {
    let Up { entry, record, mut launched, bundle, notify } = after_start(up, context)?;
    foreground.announce(notify);
    // Others must be able to pause, kill and delete the container while it runs.
    if let Err(error) = entry.unlock() {
        drop(launched);
        return Err(and_undo(state_failed(error), undo(entry, &record)));
    }
    let (pid, terminal) = (launched.pid, launched.terminal.take());
    let Ok(pidfd) = launched.release() else {
        return Err(refusal("setup", "the container's first process is not known"));
    };
    let exit = match foreground.attend(pid, &pidfd, terminal) {
        Ok(exit) => exit,
        Err(error) => {
            end(&pidfd);
            let poststop = &bundle.spec.spec().hooks.poststop;
            return Err(and_undo(
                failed("foreground")(error),
                forget_ended(&entry, &record, poststop, context),
            ));
        }
    };
    context.timings.mark("program");
    foreground.end().map_err(failed("foreground"))?;
    if args.keep || context.log.is_debug() {
        let ended = Witness::of(&record, Some(bundle.spec.spec())).judge(exit, false);
        context.log.debug(&format!("the program ended: {ended:?}"));
        exit::note(context, &record, ended);
    }
    if !args.keep {
        forget_ended(&entry, &record, &bundle.spec.spec().hooks.poststop, context)?;
    }
    context.timings.mark("delete");
    // Their descriptors are closed by the end of the process in the next moment, and what else they do is done.
    std::mem::forget((entry, pidfd, foreground));
    Ok(process::Exit::status(exit))
}
