"""Who is judged: building it, driving it, handing tasks to it, and judging it by one rule."""
