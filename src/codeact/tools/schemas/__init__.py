"""A tool that JSON Schema describes: its parameters as Python, its arguments checked, its call sent elsewhere."""

from .described import DescribedTool as DescribedTool
