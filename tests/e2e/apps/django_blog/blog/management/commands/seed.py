from django.core.management.base import BaseCommand
from django.db import transaction

from blog.models import Author, Comment, Post

AUTHORS = 20


class Command(BaseCommand):
    help = "Fills an empty database with authors, posts and comments."

    def add_arguments(self, parser):
        parser.add_argument("--posts", type=int, default=300)

    @transaction.atomic
    def handle(self, *args, posts, **options):
        authors = Author.objects.bulk_create(
            Author(name=f"Author {n}", email=f"author{n}@example.com")
            for n in range(1, AUTHORS + 1)
        )
        written = Post.objects.bulk_create(
            Post(
                author=authors[n % AUTHORS],
                title=f"Post {n}",
                slug=f"post-{n}",
                body=f"What there is to say about number {n}. " * 20,
            )
            for n in range(1, posts + 1)
        )
        Comment.objects.bulk_create(
            Comment(post=post, name=f"Reader {n}", text="Well said.", shown=True)
            for post in written
            for n in range(3)
        )
        self.stdout.write(f"{len(written)} posts")
