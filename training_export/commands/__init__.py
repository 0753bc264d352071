"""The pipeline's commands, one file each; the daemon's command line finds this table by its entry point."""

from __future__ import annotations

from daemon.commands import CommandEntry

COMMANDS = {
    "export": CommandEntry("Turn snapshots into training examples.", "training_export.commands.export:application"),
    "import": CommandEntry(
        "Make examples from Zed's files, commits or releases.", "training_export.commands.import_:application"
    ),
    "split-commit": CommandEntry(
        "Make examples from the commits of a repository.", "training_export.commands.split_commit:application"
    ),
    "context": CommandEntry(
        "Find what stands around examples in a checkout.", "training_export.commands.context:application"
    ),
    "distill": CommandEntry("Ask a teacher what it would predict.", "training_export.commands.distill:application"),
    "judge": CommandEntry(
        "Ask a language model what it thinks of predictions.", "training_export.commands.judge:application"
    ),
    "repair": CommandEntry(
        "Ask a teacher again about doubtful predictions.", "training_export.commands.repair:application"
    ),
    "targets": CommandEntry(
        "Make chosen predictions what should come next.", "training_export.commands.targets:application"
    ),
    "settle": CommandEntry(
        "Sort settled examples by what a model makes of them.",
        "training_export.commands.settle:application",
    ),
    "score": CommandEntry(
        "Score predictions against the expected patches.", "training_export.commands.score:application"
    ),
    "eval": CommandEntry("Sum up scores, or compare two runs.", "training_export.commands.eval:application"),
    "filter": CommandEntry("Keep the examples that are wanted.", "training_export.commands.filter:application"),
    "sample": CommandEntry("Draw some of the examples.", "training_export.commands.sample:application"),
    "dedup": CommandEntry("Leave out examples that are nearly the same.", "training_export.commands.dedup:application"),
    "split": CommandEntry(
        "Divide examples into training, validation and test.", "training_export.commands.split:application"
    ),
    "redact": CommandEntry("Search examples for secrets once more.", "training_export.commands.redact:application"),
    "format": CommandEntry(
        "Write prompts and answers for training a model.", "training_export.commands.format_:application"
    ),
    "census": CommandEntry("Say what is in files of examples.", "training_export.commands.census:application"),
    "stats": CommandEntry("Say what became of predictions.", "training_export.commands.stats:application"),
    "validate": CommandEntry(
        "Check examples before training on them.", "training_export.commands.validate:application"
    ),
    "pipeline": CommandEntry("Run a chain of these commands.", "training_export.commands.pipeline:application"),
    "synthesize": CommandEntry(
        "Make editing moments out of source code.", "training_export.commands.synthesize:application"
    ),
    "train": CommandEntry("Train a student, or teach it further.", "training_export.commands.train:application"),
    "model export": CommandEntry(
        "Write a trained model as a GGUF.", "training_export.commands.model_export:application"
    ),
    "model compare": CommandEntry(
        "Quantise a model in several ways, measure each, and say which to use.",
        "training_export.commands.model_compare:application",
    ),
    "model evaluate": CommandEntry(
        "Score a model on held-out cases; write its card.", "training_export.commands.model_evaluate:application"
    ),
    "example": CommandEntry(
        "Show, convert and check training examples.", "training_export.commands.example:application"
    ),
}
