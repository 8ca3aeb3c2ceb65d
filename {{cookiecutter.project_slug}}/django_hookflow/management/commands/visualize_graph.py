"""`manage.py visualize_graph`: a workflow as a picture of its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser

from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.inspection.drawing import dot
from django_hookflow.inspection.drawing import mermaid
from django_hookflow.inspection.graph import graph_of
from django_hookflow.inspection.reader import program_of
from django_hookflow.inspection.svg import svg
from django_hookflow.management.terminal import save
from django_hookflow.workflows.registry import get_all_workflows
from django_hookflow.workflows.registry import get_workflow

FORMATS = {"svg": svg, "mermaid": mermaid, "dot": dot}


class Command(BaseCommand):
    help = (
        "Draws a workflow from its source: its steps, branches, loops, waits "
        "and undos. Nothing is executed, and no other program is needed."
    )

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        """Let --version be that of a workflow, not of Django."""
        return super().create_parser(
            prog_name, subcommand, conflict_handler="resolve", **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--flow-type",
            "--graph-name",
            required=True,
            dest="workflow",
            metavar="NAME",
            help="the id of a workflow",
        )
        parser.add_argument(
            "--version",
            type=int,
            dest="workflow_version",
            metavar="N",
            help="a version of it; the latest by default",
        )
        parser.add_argument(
            "--format",
            choices=list(FORMATS),
            default="svg",
            help="svg for a browser (the default), mermaid for Markdown, dot "
            "for Graphviz",
        )
        parser.add_argument(
            "--output", metavar="FILE", help="write a file instead"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, version = options["workflow"], options["workflow_version"]
        try:
            workflow = get_workflow(name, version)
        except WorkflowNotFound as error:
            known = ", ".join(sorted(get_all_workflows())) or "none"
            raise CommandError(
                f"{error} Registered workflows: {known}."
            ) from error
        program = program_of(workflow)
        if program is None:
            raise CommandError(
                f"The source of workflow {name!r} cannot be read: "
                f"{workflow.place} is missing, is not Python, or has changed "
                "since it was imported."
            )
        title = name if version is None else f"{name} (version {version})"
        graph = graph_of(title, program)
        text = FORMATS[options["format"]](graph)
        if options["output"] is None:
            self.stdout.write(text, ending="")
            return
        save(Path(options["output"]), text)
        self.stdout.write(
            f"Wrote {options['output']}: {len(graph.nodes)} nodes, "
            f"{len(graph.edges)} edges."
        )
