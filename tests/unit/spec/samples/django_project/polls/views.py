from django.http import HttpResponse
from rest_framework.viewsets import ViewSet


class ChoiceViewSet(ViewSet):
    def list(self, request):
        return HttpResponse("[]")


def index(request):
    return HttpResponse("polls")


def detail(request, question_id):
    return HttpResponse(question_id)
